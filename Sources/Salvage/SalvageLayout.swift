// Decides where the rows of a broken .npy lie, from its first bytes and its length. No effects.
// Read by SalvageSource.swift; why a file is refused: SalvageRefused.swift.

package import ShardStore

/// What the person who asks knows of the file, for when its header does not say it.
package struct SalvageHints: Sendable {
  package var dimension: Int?
  package var dtype: Dtype?
  /// Where the first row starts.
  package var headerByteCount: Int?

  package init(dimension: Int? = nil, dtype: Dtype? = nil, headerByteCount: Int? = nil) {
    self.dimension = dimension
    self.dtype = dtype
    self.headerByteCount = headerByteCount
  }
}

/// Shape of the rows, and how many of them there are by header and by length.
package struct SalvageLayout: Equatable, Sendable {
  package enum Header: Equatable, Sendable {
    /// Read, and used as it is.
    case whole
    /// Read, and something else was asked for.
    case overruled(String)
    /// Not readable, with the reason and how the first row's place was found.
    case damaged(reason: String, place: String)
  }

  package let header: Header
  package let dimension: Int
  package let dtype: Dtype
  /// Nil when the header does not say.
  package let claimedRowCount: Int?
  /// Where row 0 starts.
  package let dataOffset: Int
  package let fileByteCount: Int

  /// As many bytes of a file as a header can take.
  package static let headByteCountMax = NumPyHeader.dictionaryByteCountMax + 12
  /// A longer row is refused: it would not fit into a buffer.
  package static let dimensionMax = 1 << 20

  /// Bytes from row to row.
  package var rowStride: Int { dimension * dtype.byteCount }

  /// Bytes of rows that are in the file, and claimed.
  package var dataByteCount: Int {
    let there = max(0, fileByteCount - dataOffset)
    guard let claimedRowCount else { return there }
    let (claimed, overflow) = claimedRowCount.multipliedReportingOverflow(by: rowStride)
    return overflow ? there : min(there, claimed)
  }

  /// Bytes behind the rows that the header claims; no reader sees them.
  package var behindByteCount: Int { max(0, fileByteCount - dataOffset - dataByteCount) }
}

extension SalvageLayout {
  /// - Parameters:
  ///   - head: The first ``headByteCountMax`` bytes of the file, or all of it.
  package init(
    head: [UInt8], fileByteCount: Int, hints: SalvageHints
  ) throws(SalvageRefused) {
    guard fileByteCount > 0 else { throw .empty }
    if let dimension = hints.dimension { try Self.check(dimension: dimension) }
    if let offset = hints.headerByteCount, offset > fileByteCount {
      throw .headerLonger(byteCount: offset, fileByteCount: fileByteCount)
    }
    let found: NumPyHeader
    do throws(NumPyHeaderError) {
      found = try Self.parse(head)
    } catch {
      try self.init(damaged: head, "\(error)", fileByteCount: fileByteCount, hints: hints)
      return
    }
    guard !found.fortranOrder else { throw .fortranOrder }
    guard let dtype = Dtype(rawValue: found.descr) else {
      if let type = UnusableType(found.descr) { throw .dtype(found.descr, type) }
      try self.init(
        damaged: head, "its dtype '\(found.descr)' is none of NumPy's",
        fileByteCount: fileByteCount, hints: hints)
      return
    }
    try self.init(found, dtype, fileByteCount: fileByteCount, hints: hints)
  }

  private static func parse(_ head: [UInt8]) throws(NumPyHeaderError) -> NumPyHeader {
    let outcome = unsafe head.withUnsafeBytes { bytes in
      Result { () throws(NumPyHeaderError) in try NumPyHeader.parse(bytes) }
    }
    return try outcome.get()
  }

  /// From a header that could be read.
  private init(
    _ found: NumPyHeader, _ dtype: Dtype, fileByteCount: Int, hints: SalvageHints
  ) throws(SalvageRefused) {
    guard found.shape.count == 2 || hints.dimension != nil else { throw .shape(found.shape) }
    let foundDimension = found.shape.count == 2 ? found.shape[1] : nil
    let dimension = hints.dimension ?? foundDimension ?? 0
    try Self.check(dimension: dimension)
    var overruled: [String] = []
    if foundDimension != dimension { overruled.append("shape \(found.shape.tuple)") }
    if let hint = hints.dtype, hint != dtype { overruled.append("dtype \(dtype.name)") }
    if let hint = hints.headerByteCount, hint != found.byteCount {
      overruled.append("length \(found.byteCount)")
    }
    self.init(
      header: overruled.isEmpty ? .whole : .overruled(overruled.joined(separator: ", ")),
      dimension: dimension, dtype: hints.dtype ?? dtype,
      claimedRowCount: found.shape.count == 2 ? found.shape[0] : nil,
      dataOffset: hints.headerByteCount ?? found.byteCount, fileByteCount: fileByteCount)
  }

  /// From what was given, since the header cannot be read.
  private init(
    damaged head: [UInt8], _ reason: String, fileByteCount: Int, hints: SalvageHints
  ) throws(SalvageRefused) {
    guard let dimension = hints.dimension, let dtype = hints.dtype else {
      throw .headerUnreadable(reason)
    }
    let guess = HeaderGuess(head: head)
    self.init(
      header: .damaged(
        reason: reason, place: hints.headerByteCount == nil ? guess.reason : "as given"),
      dimension: dimension, dtype: dtype, claimedRowCount: nil,
      dataOffset: hints.headerByteCount ?? guess.byteCount, fileByteCount: fileByteCount)
  }

  private static func check(dimension: Int) throws(SalvageRefused) {
    guard (1...dimensionMax).contains(dimension) else { throw .dimension(dimension) }
  }
}

extension [Int] {
  /// As Python writes a shape.
  var tuple: String {
    count == 1 ? "(\(self[0]),)" : "(" + map(String.init).joined(separator: ", ") + ")"
  }
}
