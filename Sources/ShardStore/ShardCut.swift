// What of a shard belongs to a copy that is made while the server writes to it. Only reads, and maps nothing:
// the server may cut preallocated space at any time. Used by IngestService/Backup.

package import SystemIO

/// The rows and records of a shard at one moment: whole batches that were acknowledged, from the first on.
package struct ShardCut: Equatable, Sendable {
  package var isSealed = false
  package var rowCount = 0
  /// Of embeddings.npy and commits.log, without what lies behind the last row and record.
  package var embeddingsByteCount = 0
  package var logByteCount = 0
  /// Tells the shard from one that replaced it; nil when the first record is damaged.
  package var firstRecordCRC32C: UInt32?
  /// Of the last record; by the chain it stands for the whole log.
  package var lastRecordCRC32C: UInt32 = 0
  package var lastSequence = 0
  /// The shards that this one replaced, without itself.
  package var replacedShards: [Int] = []
  /// Why rows that were acknowledged are not all there.
  package var damage: String?

  package init() {}
}

/// Where the acknowledged part of an open shard ends.
struct CutLimit {
  /// Rows that were durable for sure.
  var watermark: Int
  /// First sequence of the next shard: everything before it counts, and nothing from it on.
  var nextShardSequence: Int?

  /// Whether a record belongs to the cut. Records without rows, such as deletions, do.
  func takes(_ record: CommitRecord) -> Bool {
    if record.kind == .seal { return false }
    if let nextShardSequence { return record.sequence < nextShardSequence }
    return record.rows.upperBound <= watermark
  }

  /// Whether nothing is missing behind what was taken.
  ///
  /// - Parameter restIsZero: Nothing was ever written there. Sequences may be left out then, after a
  ///   shard was lost.
  func isReached(_ cut: ShardCut, restIsZero: () throws(DiskError) -> Bool) throws(DiskError)
    -> Bool
  {
    guard cut.rowCount >= watermark else { return false }
    guard let nextShardSequence else { return true }
    if cut.lastSequence == nextShardSequence - 1 { return true }
    return try restIsZero()
  }
}

extension ShardOpener {
  /// Finds the cut of a shard, sealed or open.
  ///
  /// - Parameters:
  ///   - catalogRowCount: Rows that a copy of the catalog knows, which was made before; 0 without one.
  ///   - nextShardSequence: The first sequence of the next shard, when there is one; asked of open
  ///     shards only.
  package func cut(
    _ number: Int, catalogRowCount: Int, nextShardSequence: () -> Int?
  ) throws(DiskError) -> ShardCut {
    let layout = collection.shard(number)
    let embeddings = try disk.openFile(layout.embeddings, for: .read)
    // Before the log is looked at: records of all rows that the header counts are there by then.
    let header = try stableHeader(of: embeddings)
    let log = try disk.openFile(layout.log, for: .read)
    let scan = LogScan(log, identity: identity(number))
    if var cut = try sealedCut(number, embeddings: embeddings, log: log) {
      try scan.readFirstRecord(into: &cut)
      return cut
    }
    var cut = try scan.cut(
      CutLimit(
        watermark: max(header?.rowCount ?? 0, catalogRowCount),
        nextShardSequence: nextShardSequence()))
    try scan.readFirstRecord(into: &cut)
    cut.embeddingsByteCount = geometry.offset(ofRow: cut.rowCount)
    let byteCount = try embeddings.byteCount()
    if byteCount < cut.embeddingsByteCount {
      cut.damage = "embeddings.npy has \(byteCount) bytes, expected \(cut.embeddingsByteCount)"
    }
    return cut
  }

  /// The header, read until two reads agree: a write of another process may be seen half done.
  private func stableHeader(of file: any DiskFile) throws(DiskError) -> ShardHeader? {
    var bytes = try file.read(offset: 0, byteCount: ShardHeader.byteCount)
    for _ in 0..<Self.headerReadCountMax {
      let again = try file.read(offset: 0, byteCount: ShardHeader.byteCount)
      if again == bytes { break }
      bytes = again
    }
    return ShardHeader(bytes, dimension: geometry.dimension, dtype: geometry.dtype)
  }

  private static var headerReadCountMax: Int { 100 }

  /// Nil when the log does not end with a right seal record, or the files have not the sizes it names.
  private func sealedCut(
    _ number: Int, embeddings: any DiskFile, log: any DiskFile
  ) throws(DiskError) -> ShardCut? {
    let logByteCount = try log.byteCount()
    guard logByteCount > SealTable.trailerByteCount,
      let sealByteCount = SealTable.recordByteCount(
        ofTrailer: try log.read(
          offset: logByteCount - SealTable.trailerByteCount, byteCount: SealTable.trailerByteCount)),
      sealByteCount <= logByteCount
    else { return nil }
    let bytes = try log.read(offset: logByteCount - sealByteCount, byteCount: sealByteCount)
    let seal = unsafe bytes.withUnsafeBytes {
      try? unsafe CommitRecord.decode($0, identity: identity(number))
    }
    guard let seal, seal.kind == .seal, seal.byteCount == sealByteCount else { return nil }
    let embeddingsByteCount = geometry.offset(ofRow: seal.rowCount)
    guard try embeddings.byteCount() == embeddingsByteCount else { return nil }
    var cut = ShardCut()
    cut.isSealed = true
    cut.rowCount = seal.rowCount
    cut.embeddingsByteCount = embeddingsByteCount
    cut.logByteCount = logByteCount
    cut.lastRecordCRC32C = seal.recordCRC32C
    cut.lastSequence = seal.sequence
    return cut
  }
}

/// Reads a log record by record with `pread`; a record at a time is in memory.
private struct LogScan {
  private let log: any DiskFile
  private let identity: ShardIdentity

  init(_ log: any DiskFile, identity: ShardIdentity) {
    self.log = log
    self.identity = identity
  }

  func cut(_ limit: CutLimit) throws(DiskError) -> ShardCut {
    var limit = limit
    let found = try chain()
    // Rows that were durable when a later record was written, whatever the header says.
    limit.watermark = max(
      limit.watermark, found.map(\.record.durableRowCount).max() ?? 0)
    var cut = ShardCut()
    cut.lastRecordCRC32C = identity.seed
    for (record, end) in found.prefix(while: { limit.takes($0.record) }) {
      cut.take(record, end: end)
    }
    let end = cut.logByteCount
    let isWhole = try limit.isReached(cut) { () throws(DiskError) in
      let rest = try log.read(offset: end, byteCount: max(0, try log.byteCount() - end))
      return rest.allSatisfy { $0 == 0 }
    }
    if !isWhole { try goOnBehindDamage(&cut, limit) }
    return cut
  }

  /// Which shard this is, and which ones it replaced.
  func readFirstRecord(into cut: inout ShardCut) throws(DiskError) {
    guard let record = try record(at: 0) else { return }
    cut.firstRecordCRC32C = record.recordCRC32C
    guard record.kind == .replacement else { return }
    let bytes = BytesInMemory(bytes: try log.read(offset: 0, byteCount: record.byteCount))
    cut.replacedShards = LogReader.replacedShards(
      LogReader.Found(offset: 0, record: record), in: bytes
    ).filter { $0 != identity.number }
  }

  /// The records from the start of the log, as far as each follows the one before.
  private func chain() throws(DiskError) -> [(record: CommitRecord, end: Int)] {
    var found: [(record: CommitRecord, end: Int)] = []
    var (crc32c, offset) = (identity.seed, 0)
    while let record = try record(at: offset), record.previousCRC32C == crc32c {
      offset += record.byteCount
      crc32c = record.recordCRC32C
      found.append((record, offset))
    }
    return found
  }

  /// The record at an offset; nil when there is none that is right.
  private func record(at offset: Int) throws(DiskError) -> CommitRecord? {
    let head = try log.read(offset: offset, byteCount: CommitRecord.Layout.batchID)
    guard head.count == CommitRecord.Layout.batchID,
      Array(head[..<CommitRecord.magic.count]) == CommitRecord.magic
    else { return nil }
    let byteCount: UInt32 = ByteReader(head).integer(at: CommitRecord.Layout.recordByteCount)
    guard Int(byteCount) <= ShardGeometry.logByteCountMax else { return nil }
    let bytes = try log.read(offset: offset, byteCount: Int(byteCount))
    return unsafe bytes.withUnsafeBytes {
      try? unsafe CommitRecord.decode($0, identity: identity)
    }
  }

  /// Takes the damaged part of a log along when records follow it that count, as recovery does.
  private func goOnBehindDamage(_ cut: inout ShardCut, _ limit: CutLimit) throws(DiskError) {
    let damagedOffset = cut.logByteCount
    cut.damage = "commits.log is damaged at byte \(damagedOffset)"
    let bytes = BytesInMemory(bytes: try log.read(offset: 0, byteCount: try log.byteCount()))
    guard damagedOffset < bytes.byteCount else { return cut.countRows(limit) }
    var reader = LogReader(bytes, identity: identity, range: damagedOffset..<bytes.byteCount)
    while reader.skipDamage() {
      while let found = try? reader.next(), found.record.kind != .seal {
        guard limit.takes(found.record), found.record.firstRow >= cut.rowCount else { continue }
        cut.take(found.record, end: found.end)
      }
    }
    cut.countRows(limit)
  }
}

extension ShardCut {
  fileprivate mutating func take(_ record: CommitRecord, end: Int) {
    logByteCount = end
    rowCount = record.rows.upperBound
    lastRecordCRC32C = record.recordCRC32C
    lastSequence = record.sequence
  }

  /// Rows whose record is lost belong to the copy as well.
  fileprivate mutating func countRows(_ limit: CutLimit) {
    rowCount = max(rowCount, limit.watermark)
  }
}
