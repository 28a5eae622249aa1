// What the header of an array in a file says, checked before its elements are read piece by piece. Used by
// `ingot import`; arrays in bodies: NumPyArray.swift.

internal import ShardStore

/// Type and shape of a `.npy` array.
package struct ArrayForm: Sendable, Equatable {
  /// What messages call it: `ids` or `embeddings`.
  package let name: String
  /// NumPy's notation of the type, such as `<f4`.
  package let descr: String
  package let shape: [Int]
  package let headerByteCount: Int
  package let elementByteCount: Int
  let isFortranOrder: Bool
  let type: NumPyArray.ElementType

  /// A header and its magic are never longer.
  package static let headerByteCountMax = NumPyHeader.dictionaryByteCountMax + 12

  /// - Parameter start: The file's first ``headerByteCountMax`` bytes, or all of it.
  package init(name: String, start: any BodyMemory) throws(BodyError) {
    let (header, type) = try NumPyArray.header(name: name, file: BodyBytes(start))
    self.name = name
    descr = header.descr
    shape = header.shape
    headerByteCount = header.byteCount
    elementByteCount = type.byteCount
    isFortranOrder = header.fortranOrder
    self.type = type
    guard
      header.elementCount?.multipliedReportingOverflow(by: max(1, type.byteCount)).overflow
        == false
    else { throw .truncatedMember(member: name, expected: Int.max, found: 0) }
  }

  /// Bytes of all elements.
  package var dataByteCount: Int {
    // Beside a zero the others may be of any size, and their product beyond an Int.
    shape.contains(0) ? 0 : shape.reduce(elementByteCount, *)
  }

  /// Rows and dimension of an array of embeddings, of any type of number.
  package func rows() throws(BodyError) -> (rowCount: Int, dimension: Int) {
    guard !isFortranOrder else { throw .fortranOrder(member: name) }
    guard shape.count == 2 else { throw .wrongRank(member: name, found: shape, expected: 2) }
    guard shape[1] > 0 else { throw .zeroDimension }
    let dimensionMax = BodyLimits().dimensionMax
    guard shape[1] <= dimensionMax else {
      throw .dimensionTooLarge(found: shape[1], max: dimensionMax)
    }
    return (shape[0], shape[1])
  }

  /// Whether the array can be the ids of that many rows.
  package func checkIDs(rowCount: Int) throws(BodyError) {
    guard shape.count == 1 else { throw .wrongRank(member: name, found: shape, expected: 1) }
    guard shape[0] == rowCount else {
      throw .idCountMismatch(idCount: shape[0], rowCount: rowCount)
    }
    _ = try ids(in: HeapBodyMemory(byteCount: 0), rowCount: 0)
  }

  /// - Parameter elements: `rowCount` elements of the array.
  func ids(in elements: any BodyMemory, rowCount: Int) throws(BodyError) -> IDCollector {
    let part = NumPyArray(
      name: name, descr: descr, type: type, shape: [rowCount], data: BodyBytes(elements))
    return try IDCollector(part, rowCount: rowCount)
  }
}
