// A shard as the .npy file that it is at one moment. Answered by Endpoints/Files.swift.

internal import HTTPCore
internal import IngestService
internal import ShardStore
internal import Synchronization

/// The durable rows of a shard behind a header that counts exactly them. A shard that grows meanwhile changes
/// nothing of it: neither bytes nor length nor tag.
struct ShardFile: Sendable {
  private let shard: Shard
  private let summary: Shard.Summary
  private let header: [UInt8]
  let byteCount: Int
  /// Names the row count, and by the end of the log's chain also what is in the rows: a shard that was
  /// compacted to as many rows is another file.
  let entityTag: String

  init(_ shard: Shard) {
    self.shard = shard
    summary = shard.summary
    header = shard.geometry.header(rowCount: summary.rowCount).encoded
    byteCount = shard.geometry.offset(ofRow: summary.rowCount)
    let name = ShardIdentity.directoryName(summary.number)
    entityTag = "\"\(name)-\(summary.rowCount)-\(summary.lastRecordCRC32C.hexadecimal)\""
  }

  /// Sends a range of the file.
  ///
  /// - Throws: when rows of the range are known to be damaged, or the first ones are found to be. Later
  ///   ones end the transfer before its announced length.
  func producer(of range: Range<Int>) throws(RowDamaged) -> any BodyProducer {
    let rows = rows(coveredBy: range)
    if let known = summary.damage.first(where: { $0.rows.overlaps(rows) }) {
      throw RowDamaged(shard: summary.number, rows: known.rows, reason: known.reason)
    }
    let first = self.rows(coveredBy: piece(from: range.lowerBound, in: range))
    if !first.isEmpty { try unsafe shard.withRows(first) { _ in } }
    return ShardFileProducer(self, range: range)
  }

  /// Up to the end of a block, whose checksum is then computed once.
  fileprivate func piece(from position: Int, in range: Range<Int>) -> Range<Int> {
    let blockByteCount = SealTable.blockByteCount
    return position..<min(range.upperBound, (position / blockByteCount + 1) * blockByteCount)
  }

  private func rows(coveredBy bytes: Range<Int>) -> Range<Int> {
    let stride = shard.geometry.rowStride
    let start = max(0, bytes.lowerBound - header.count) / stride
    let end = (max(0, bytes.upperBound - header.count) + stride - 1) / stride
    return start..<max(start, end)
  }

  /// Appends a piece of the file, after its rows were checked.
  fileprivate func append(_ piece: Range<Int>, to output: inout [UInt8]) throws(RowDamaged) {
    if piece.lowerBound < header.count {
      output += header[piece.clamped(to: 0..<header.count)]
    }
    let rows = rows(coveredBy: piece)
    guard !rows.isEmpty else { return }
    let start = shard.geometry.offset(ofRow: rows.lowerBound)
    let wanted = max(piece.lowerBound, header.count)..<piece.upperBound
    try unsafe shard.withRows(rows) { bytes in
      unsafe output.append(
        contentsOf: UnsafeRawBufferPointer(
          rebasing: bytes[(wanted.lowerBound - start)..<(wanted.upperBound - start)]))
    }
  }
}

/// Sends a file piece by piece from the shard's mapping.
private final class ShardFileProducer: BodyProducer {
  let byteCount: Int?
  private let file: ShardFile
  private let range: Range<Int>
  private let position: Mutex<Int>

  init(_ file: ShardFile, range: Range<Int>) {
    self.file = file
    self.range = range
    byteCount = range.count
    position = Mutex(range.lowerBound)
  }

  func next(into output: inout [UInt8]) throws -> Bool {
    let piece = position.withLock { position in
      let piece = file.piece(from: position, in: range)
      position = piece.upperBound
      return piece
    }
    try file.append(piece, to: &output)
    return piece.upperBound < range.upperBound
  }
}
