// The live view of a collection as the bytes of one file, piece by piece. Formats: ExportFormat.swift. Ids:
// ExportStream+IDs.swift. The archive around an npz: StreamedZip.swift. Sent by IngestAPI/Endpoints/Export.swift,
// written by `ingot export`.

package import ShardStore
internal import SystemIO

/// Makes a file of the rows that were live when this was made. Memory does not depend on their number, but for a bit
/// per row.
package struct ExportStream {
  package let format: ExportFormat
  package let rowCount: Int
  /// Of the last commit that is in the export.
  package let sequence: Int
  /// Live rows that are damaged or lost, and therefore not in the export.
  package let damagedRowCount: Int
  private let live: LiveRows
  private let dimension: Int
  private let dtype: Dtype
  private let pieceByteCount: Int
  private var stage: Stage
  private var archive = StreamedZip()
  /// Of all bytes so far.
  package private(set) var crc32c: UInt32 = 0

  private enum Stage {
    case start
    /// For an npz the ids are fixed-width text of so many scalars.
    case ids(LiveRowIDs, width: Int)
    case startOfRows
    case rows(part: Int, row: Int)
    case end
    case finished
  }

  /// What is sent at once.
  package static let pieceByteCountDefault = 64 << 10

  package init(_ collection: Collection, format: ExportFormat) {
    self.init(LiveRows(collection), of: collection, format: format)
  }

  /// - Parameters:
  ///   - live: Streams of the same live rows have the same rows in the same order.
  ///   - pieceByteCount: About what is lent at once.
  package init(
    _ live: LiveRows, of collection: Collection, format: ExportFormat,
    pieceByteCount: Int = pieceByteCountDefault
  ) {
    self.live = live
    self.format = format
    self.pieceByteCount = pieceByteCount
    sequence = live.sequence
    rowCount = live.rowCount
    damagedRowCount = live.unservedRowCount
    dimension = collection.dimension
    dtype = collection.dtype
    stage = .start
  }

  /// How long the file will be; nil when that depends on the ids.
  package var byteCount: Int? {
    let width = format.widensToFloat32 ? 4 : dtype.byteCount
    switch format {
    case .npz, .ids: return nil
    case .npy, .fbin, .f32, .safetensors:
      return header.count + rowCount * dimension * width
    }
  }

  private var header: [UInt8] {
    format.header(rowCount: rowCount, dimension: dimension, dtype: dtype)
  }

  /// Appends the next piece.
  ///
  /// - Returns: false at the end.
  /// - Throws: when a row is damaged: the file cannot be completed.
  package mutating func next(into output: inout [UInt8]) throws(RowDamaged) -> Bool {
    try next { unsafe output.append(contentsOf: $0) }
  }

  /// Lends the next piece, in up to three parts.
  @safe
  package mutating func next(
    _ take: (UnsafeRawBufferPointer) -> Void
  ) throws(RowDamaged) -> Bool {
    switch stage {
    case .start: try unsafe start(take)
    case .ids(var ids, let width):
      stage = .startOfRows
      let hasMore = try unsafe emitIDs(&ids, width: width, take)
      if hasMore { stage = .ids(ids, width: width) } else { unsafe endIDs(take) }
    case .startOfRows:
      if format == .npz { unsafe emit(archive.begin("embeddings.npy"), take) }
      unsafe emitData(header, take)
      stage = .rows(part: 0, row: 0)
    case .rows(let part, let row):
      stage = .end
      if let next = try unsafe emitRows(part: part, row: row, take) {
        stage = .rows(part: next.part, row: next.row)
      }
    case .end:
      if format == .npz {
        unsafe emit(archive.end(), take)
        unsafe emit(archive.finish(), take)
      }
      stage = .finished
    case .finished: break
    }
    if case .finished = stage { return false }
    return true
  }

  private mutating func start(_ take: (UnsafeRawBufferPointer) -> Void) throws(RowDamaged) {
    switch format {
    case .ids: stage = .ids(LiveRowIDs(live), width: 0)
    case .npz:
      let width = try Self.width(ofIDs: LiveRowIDs(live))
      unsafe emit(archive.begin("ids.npy"), take)
      unsafe emitData(NumPyHeader.text(count: rowCount, width: width), take)
      stage = .ids(LiveRowIDs(live), width: width)
    case .npy, .fbin, .f32, .safetensors: stage = .startOfRows
    }
  }

  private mutating func endIDs(_ take: (UnsafeRawBufferPointer) -> Void) {
    if format == .npz { unsafe emit(archive.end(), take) }
    stage = format == .ids ? .finished : .startOfRows
  }

  // MARK: - Bytes

  /// Lends bytes of the file, which count for its checksum.
  @safe
  private mutating func emit(
    _ bytes: UnsafeRawBufferPointer, _ take: (UnsafeRawBufferPointer) -> Void
  ) {
    crc32c = CRC32C.of(bytes, continuing: crc32c)
    unsafe take(bytes)
  }

  private mutating func emit(_ bytes: [UInt8], _ take: (UnsafeRawBufferPointer) -> Void) {
    unsafe bytes.withUnsafeBytes { emit($0, take) }
  }

  /// Lends bytes that are, in an archive, those of a member.
  @safe
  private mutating func emitData(
    _ bytes: UnsafeRawBufferPointer, _ take: (UnsafeRawBufferPointer) -> Void
  ) {
    if format == .npz { archive.count(bytes) }
    emit(bytes, take)
  }

  private mutating func emitData(_ bytes: [UInt8], _ take: (UnsafeRawBufferPointer) -> Void) {
    unsafe bytes.withUnsafeBytes { emitData($0, take) }
  }

  // MARK: - Rows

  /// Lends the next run of rows as they lie in their shard, so that nothing is copied.
  ///
  /// - Returns: where to go on; nil at the end.
  private mutating func emitRows(
    part: Int, row: Int, _ take: (UnsafeRawBufferPointer) -> Void
  ) throws(RowDamaged) -> (part: Int, row: Int)? {
    guard let (part, run) = nextRun(part: part, row: row) else { return nil }
    let isWidened = format.widensToFloat32 && dtype == .float16
    try unsafe live.parts[part].shard.withRows(run) { bytes in
      if isWidened {
        unsafe emitData(Widening.float32(ofFloat16: bytes), take)
      } else {
        emitData(bytes, take)
      }
    }
    return (part, run.upperBound)
  }

  private func nextRun(part: Int, row: Int) -> (part: Int, rows: Range<Int>)? {
    let countMax = max(1, pieceByteCount / (dimension * dtype.byteCount))
    var row = row
    for part in part..<max(part, live.parts.count) {
      if let run = live.parts[part].run(from: row, countMax: countMax) { return (part, run) }
      row = 0
    }
    return nil
  }

  // MARK: - Ids

  /// Unicode scalars of the longest id; 1 when there is none.
  private static func width(ofIDs ids: consuming LiveRowIDs) throws(RowDamaged) -> Int {
    var ids = ids
    var width = 1
    while try ids.next({ width = max(width, $0.count { $0 & 0xC0 != 0x80 }) }) {}
    return width
  }

  /// - Returns: false at the end.
  private mutating func emitIDs(
    _ ids: inout LiveRowIDs, width: Int, _ take: (UnsafeRawBufferPointer) -> Void
  ) throws(RowDamaged) -> Bool {
    var piece: [UInt8] = []
    piece.reserveCapacity(pieceByteCount + 4 * max(width, IDList.idByteCountMax))
    var hasMore = true
    while hasMore, piece.count < pieceByteCount {
      hasMore = try ids.next { id in
        if format == .ids {
          piece += id
          piece.append(0x0A)
        } else {
          Self.append(id, width: width, to: &piece)
        }
      }
    }
    unsafe emitData(piece, take)
    return hasMore
  }

  /// Appends text as NumPy keeps it: scalars of 32 bits, zeros behind.
  private static func append(_ id: ArraySlice<UInt8>, width: Int, to piece: inout [UInt8]) {
    let end = piece.count + width * 4
    for scalar in String(decoding: id, as: UTF8.self).unicodeScalars {
      for shift in stride(from: UInt32(0), to: 32, by: 8) {
        piece.append(UInt8(truncatingIfNeeded: scalar.value >> shift))
      }
    }
    if piece.count < end { piece.append(contentsOf: repeatElement(0, count: end - piece.count)) }
  }
}
