// The live view of a collection as the bytes of one file, piece by piece. Formats: ExportFormat.swift. The archive
// around an npz: StreamedZip.swift. Sent by IngestAPI/Endpoints/Export.swift, written by `ingot export`.

package import ShardStore
internal import SystemIO

/// Makes a file of the rows that were live when this was made. Memory does not depend on their number, but for a bit
/// per row.
package struct ExportStream {
  package let format: ExportFormat
  package let rowCount: Int
  /// Of the last commit that is in the export.
  package let sequence: Int
  private let live: LiveRows
  private let dimension: Int
  private let dtype: Dtype
  private var stage: Stage
  private var archive = StreamedZip()
  /// Of all bytes so far.
  package private(set) var crc32c: UInt32 = 0

  private enum Stage {
    case start
    /// For an npz: the ids as fixed-width text of so many scalars.
    case ids(Position, width: Int)
    case startOfRows
    case rows(Position)
    case end
    case finished
  }

  private struct Position {
    var part = 0
    var row = 0
  }

  /// About what is appended at once.
  private static let pieceByteCount = 64 << 10

  package init(_ collection: Collection, format: ExportFormat) {
    sequence = collection.lastSequence
    live = LiveRows(collection)
    self.format = format
    rowCount = live.rowCount
    dimension = collection.dimension
    dtype = collection.dtype
    stage = .start
  }

  /// Live rows that are damaged and therefore not in the export.
  package var damagedRowCount: Int { live.damagedRowCount }

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
    let start = output.count
    try advance(&output)
    unsafe output.withUnsafeBytes {
      crc32c = CRC32C.of(
        unsafe UnsafeRawBufferPointer(rebasing: $0[start...]), continuing: crc32c)
    }
    if case .finished = stage { return false }
    return true
  }

  private mutating func advance(_ output: inout [UInt8]) throws(RowDamaged) {
    switch stage {
    case .start:
      switch format {
      case .ids: stage = .ids(Position(), width: 0)
      case .npz:
        let width = idWidth
        output += archive.begin("ids.npy")
        append(NumPyHeader.text(count: rowCount, width: width), &output)
        stage = .ids(Position(), width: width)
      case .npy, .fbin, .f32, .safetensors: stage = .startOfRows
      }
    case .ids(let position, let width):
      let next = appendIDs(from: position, width: width, &output)
      if let next {
        stage = .ids(next, width: width)
      } else if format == .ids {
        stage = .finished
      } else {
        output += archive.end()
        stage = .startOfRows
      }
    case .startOfRows:
      if format == .npz { output += archive.begin("embeddings.npy") }
      append(header, &output)
      stage = .rows(Position())
    case .rows(let position):
      stage = try appendRows(from: position, &output).map { .rows($0) } ?? .end
    case .end:
      if format == .npz { output += archive.end() + archive.finish() }
      stage = .finished
    case .finished: break
    }
  }

  private mutating func append(_ bytes: [UInt8], _ output: inout [UInt8]) {
    if format == .npz { archive.count(bytes) }
    output += bytes
  }

  // MARK: - Rows

  /// - Returns: where to go on; nil at the end.
  private mutating func appendRows(
    from position: Position, _ output: inout [UInt8]
  ) throws(RowDamaged) -> Position? {
    guard let (part, run) = nextRun(from: position) else { return nil }
    let shard = live.parts[part].shard
    let bytes = try unsafe shard.withRows(run) { unsafe [UInt8]($0) }
    append(
      format.widensToFloat32 && dtype == .float16 ? Self.widened(bytes) : bytes, &output)
    return Position(part: part, row: run.upperBound)
  }

  private func nextRun(from position: Position) -> (part: Int, rows: Range<Int>)? {
    let countMax = max(1, Self.pieceByteCount / (dimension * dtype.byteCount))
    var row = position.row
    for part in position.part..<max(position.part, live.parts.count) {
      if let run = live.parts[part].run(from: row, countMax: countMax) { return (part, run) }
      row = 0
    }
    return nil
  }

  private static func widened(_ bytes: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(bytes.count * 2)
    for start in stride(from: 0, to: bytes.count, by: 2) {
      let half = Float16(bitPattern: UInt16(bytes[start]) | UInt16(bytes[start + 1]) << 8)
      let bits = Float(half).bitPattern
      for shift in stride(from: UInt32(0), to: 32, by: 8) {
        out.append(UInt8(truncatingIfNeeded: bits >> shift))
      }
    }
    return out
  }

  // MARK: - Ids

  /// Unicode scalars of the longest id.
  private var idWidth: Int {
    var width = 1
    var position = Position()
    while let (part, ids, next) = liveIDs(from: position) {
      for id in ids { width = max(width, id.unicodeScalars.count) }
      _ = part
      position = next
    }
    return width
  }

  private mutating func appendIDs(
    from position: Position, width: Int, _ output: inout [UInt8]
  ) -> Position? {
    guard let (_, ids, next) = liveIDs(from: position) else { return nil }
    var bytes: [UInt8] = []
    for id in ids {
      if format == .ids {
        bytes += id.utf8
        bytes.append(0x0A)
        continue
      }
      var count = 0
      for scalar in id.unicodeScalars {
        bytes += ExportFormat.little(Int(scalar.value), 4)
        count += 1
      }
      bytes += repeatElement(0, count: (width - count) * 4)
    }
    append(bytes, &output)
    return next
  }

  /// The ids of the live rows of the next batch that has some.
  private func liveIDs(from position: Position) -> (part: Int, ids: [String], next: Position)? {
    for part in position.part..<max(position.part, live.parts.count) {
      var offset = part == position.part ? position.row : 0
      while let (ids, end) = live.parts[part].liveIDs(fromLogOffset: offset) {
        if !ids.isEmpty { return (part, ids, Position(part: part, row: end)) }
        offset = end
      }
    }
    return nil
  }
}

extension LiveRows.Part {
  /// The ids of the live rows of the record at `offset` of the log, and where the next record starts; nil at the end.
  fileprivate func liveIDs(fromLogOffset offset: Int) -> (ids: [String], end: Int)? {
    var reader = shard.logReader(from: offset)
    while true {
      do throws(CommitRecord.Problem) {
        guard let found = try reader.next() else { return nil }
        let record = found.record
        guard record.firstRow < rowCount, !record.rows.isEmpty,
          let list = IDList(payload: shard.idBytes(of: found), of: record)
        else { return ([], found.end) }
        let ids = (0..<list.count).filter {
          record.firstRow + $0 < rowCount && isLive(record.firstRow + $0)
        }
        return (ids.map(list.string), found.end)
      } catch {
        guard reader.skipDamage() else { return nil }
      }
    }
  }
}
