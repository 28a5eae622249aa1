// The rows of a body, checked for shape and dtype: what every decoder hands on to make a batch of.

internal import ShardStore

/// Rows in memory that will belong to the batch; ids and finiteness are not checked yet.
struct Embeddings {
  let rowCount: Int
  let dimension: Int
  let dtype: Dtype
  /// rowCount × dimension numbers.
  let rows: BodyBytes
}

extension Embeddings {
  /// Takes an array in place: nothing is copied.
  init(_ array: NumPyArray, expectation: BodyExpectation) throws(BodyError) {
    let dtype = try Self.dtype(of: array, expectation: expectation)
    guard !array.fortranOrder else { throw .fortranOrder(member: array.name) }
    guard array.shape.count == 2 else {
      throw .wrongRank(member: array.name, found: array.shape, expected: 2)
    }
    self.init(
      rowCount: array.shape[0], dimension: array.shape[1], dtype: dtype, rows: array.data)
    try check(expectation)
  }

  /// The limits and the collection's dimension.
  func check(_ expectation: BodyExpectation) throws(BodyError) {
    let limits = expectation.limits
    guard rowCount > 0 else { throw .zeroRows }
    guard dimension > 0 else { throw .zeroDimension }
    if let expected = expectation.dimension, dimension != expected {
      throw .wrongDimension(found: dimension, expected: expected, row: nil, nil)
    }
    guard dimension <= limits.dimensionMax else {
      throw .dimensionTooLarge(found: dimension, max: limits.dimensionMax)
    }
    guard rowCount <= limits.rowCountMax else {
      throw .tooManyRows(found: rowCount, max: limits.rowCountMax)
    }
  }

  private static func dtype(
    of array: NumPyArray, expectation: BodyExpectation
  ) throws(BodyError) -> Dtype {
    let type = array.type
    guard type.byteOrder != ">" || type.kind != "f" else {
      throw .wrongByteOrder(member: array.name, found: array.descr)
    }
    guard let dtype = Dtype(rawValue: array.descr), expectation.dtype ?? dtype == dtype else {
      throw .wrongDtype(member: array.name, found: array.descr, expected: expectation.dtype)
    }
    return dtype
  }
}
