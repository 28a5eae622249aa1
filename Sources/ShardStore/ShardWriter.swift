// Appends batches to one open shard: the writes, the syncs and the watermark of the commit protocol.
// The order of the calls is the caller's (IngestService/CommitPipeline.swift). Format: docs/shard-format.md.

internal import Synchronization
package import SystemIO

/// How much is reserved ahead of need. Small numbers are for tests.
package struct AllocationSteps: Sendable {
  package var rowsByteCount = 32 << 20
  package var logByteCount = 1 << 20

  package init(rowsByteCount: Int = 32 << 20, logByteCount: Int = 1 << 20) {
    self.rowsByteCount = rowsByteCount
    self.logByteCount = logByteCount
  }
}

/// A batch and what the writer adds to it.
package struct BatchToWrite: Sendable {
  package let batch: Batch
  package let batchID: String
  package let sequence: Int
  package let committedAt: Int64
  package let idHashes: [UInt64]

  package init(
    batch: Batch, batchID: String, sequence: Int, committedAt: Int64, idHashes: [UInt64]
  ) {
    self.batch = batch
    self.batchID = batchID
    self.sequence = sequence
    self.committedAt = committedAt
    self.idHashes = idHashes
  }
}

/// The writing side of an open shard.
///
/// ``write(_:)`` is called by one thread, the syncs and ``publish(_:)`` by others, each for one group at a time
/// and in the order of the writes.
package final class ShardWriter: Sendable {
  package let shard: Shard
  let embeddings: any DiskFile
  let log: any DiskFile
  private let steps: AllocationSteps
  private let disk: any Disk
  private let tail: Mutex<Tail>

  /// Where the next batch goes. Touched by the writing thread only; the lock is for the compiler.
  struct Tail {
    var rowCount: Int
    var logEnd: Int
    var chain: UInt32
    var embeddingsByteCount: Int
    var logByteCount: Int
  }

  init(
    shard: Shard, embeddings: any DiskFile, log: any DiskFile, steps: AllocationSteps,
    disk: any Disk, tail: Tail
  ) {
    self.shard = shard
    self.embeddings = embeddings
    self.log = log
    self.steps = steps
    self.disk = disk
    self.tail = Mutex(tail)
  }

  /// How many of the batches, from the first on, still go into this shard.
  package func countThatFits(_ batches: some Sequence<Batch>) -> Int {
    let tail = tail.withLock { $0 }
    var (count, rowCount, logEnd) = (0, tail.rowCount, tail.logEnd)
    for batch in batches {
      rowCount += batch.rowCount
      logEnd += batch.ids.bytes.count + recordOverheadByteCountMax
      // Behind the limit nothing of a log is mapped. Every shard takes one record, so that one fits somewhere.
      let isFirst = tail.logEnd == 0 && count == 0
      let fits =
        rowCount <= shard.geometry.rowCapacity
        && (logEnd <= ShardGeometry.logByteCountMax || isFirst)
      guard fits else { break }
      count += 1
    }
    return count
  }

  /// What a record adds to its ids, rounded up: fixed fields, batch id, padding, and the seal record's share.
  private var recordOverheadByteCountMax: Int { 4096 }

  /// Writes a group behind what was written before. Nothing of it is durable or visible yet.
  ///
  /// - Throws: `isOutOfSpace` when there is no room; the group may be given to a later call again, since
  ///   nothing that counts was changed.
  package func write(_ group: [BatchToWrite]) throws(DiskError) -> [WrittenBatch] {
    let before = tail.withLock { $0 }
    var after = before
    var records: [UInt8] = []
    var written: [WrittenBatch] = []
    let durableRowCount = shard.rowCount
    for item in group {
      let (bytes, batch) = record(for: item, at: &after, durableRowCount: durableRowCount)
      records += bytes
      written.append(batch)
    }
    try reserve(&after)
    // Rows that are written and then do not count would be in the sums for good.
    var sums = shard.sums.withLock { $0.take() }
    for (item, batch) in zip(group, written) {
      try unsafe embeddings.write(
        item.batch.rows, at: shard.geometry.offset(ofRow: batch.rows.lowerBound))
      unsafe sums?.append(item.batch.rows)
    }
    let rows = shard.geometry.bytes(ofRows: before.rowCount..<after.rowCount)
    embeddings.startWriteback(offset: rows.lowerBound, byteCount: rows.count)
    try log.write(records, at: before.logEnd)
    let (result, newSums) = (after, sums)
    tail.withLock { $0 = result }
    shard.sums.withLock { $0 = newSums }
    return written
  }

  private func record(
    for item: BatchToWrite, at tail: inout Tail, durableRowCount: Int
  ) -> (bytes: [UInt8], batch: WrittenBatch) {
    let batch = item.batch
    precondition(
      batch.dimension == shard.geometry.dimension && batch.dtype == shard.geometry.dtype,
      "the batch was checked against another collection")
    var record = CommitRecord(
      kind: batch.isDeletion ? .deletion : .batch, byteCount: 0, previousCRC32C: tail.chain,
      sequence: item.sequence,
      firstRow: tail.rowCount, rowCount: batch.rowCount, durableRowCount: durableRowCount,
      committedAt: item.committedAt, contentDigest: batch.contentDigest,
      bodySHA256: batch.bodySHA256, rowsCRC32C: batch.rowsCRC32C, batchID: item.batchID,
      payloadByteCount: batch.ids.bytes.count, recordCRC32C: 0)
    let (bytes, crc32c) = record.encoded(identity: shard.identity, payload: batch.ids.bytes)
    record.byteCount = bytes.count
    record.recordCRC32C = crc32c
    let written = WrittenBatch(
      record: record, logOffset: tail.logEnd, idOffsets: batch.ids.offsets,
      idHashes: item.idHashes)
    tail.rowCount += batch.rowCount
    tail.logEnd += bytes.count
    tail.chain = crc32c
    return (bytes, written)
  }

  /// Makes both files at least as long as the tail, in steps, so that a sync seldom changes a size.
  private func reserve(_ tail: inout Tail) throws(DiskError) {
    // First the log, which needs all of this: the rows take what is left ahead of their need.
    if tail.logEnd > tail.logByteCount {
      let end = tail.logEnd + steps.logByteCount
      // Written, not only reserved: then a sync of the log changes no metadata.
      let zeros = [UInt8](repeating: 0, count: end - tail.logByteCount)
      try log.write(zeros, at: tail.logByteCount)
      tail.logByteCount = end
    }
    let rowsEnd = shard.geometry.offset(ofRow: tail.rowCount)
    if rowsEnd > tail.embeddingsByteCount {
      let capacityEnd = shard.geometry.offset(ofRow: shard.geometry.rowCapacity)
      let ahead = min(
        capacityEnd,
        tail.embeddingsByteCount + Self.aheadByteCount(steps, of: embeddings.path, on: disk))
      tail.embeddingsByteCount = try Self.extend(
        embeddings, from: tail.embeddingsByteCount, to: rowsEnd, ahead: ahead)
    }
  }

  /// How much is reserved ahead: of a small disk a small part, so that many collections, or the reserve that is kept
  /// free, do not run short of what nobody uses yet.
  static func aheadByteCount(_ steps: AllocationSteps, of path: String, on disk: any Disk) -> Int {
    guard let space = try? disk.space(at: path) else { return steps.rowsByteCount }
    let share = space.freeByteCount / 16
    return share < smallestShare ? 0 : min(steps.rowsByteCount, share)
  }

  private static let smallestShare = 1 << 20

  /// Reserves up to `ahead`, or when there is no room for that, up to `end`.
  ///
  /// - Returns: the new size.
  static func extend(
    _ file: any DiskFile, from start: Int, to end: Int, ahead: Int
  ) throws(DiskError) -> Int {
    if ahead > end {
      do throws(DiskError) {
        try extend(file, from: start, to: ahead)
        return ahead
      } catch {
        guard error.isOutOfSpace else { throw error }
      }
    }
    try extend(file, from: start, to: end)
    return end
  }

  /// Where the file system cannot reserve blocks, the size alone is set; a full disk then shows
  /// in the write or the sync.
  private static func extend(
    _ file: any DiskFile, from start: Int, to end: Int
  ) throws(DiskError) {
    do throws(DiskError) {
      try file.allocate(offset: start, byteCount: end - start)
    } catch {
      guard error.isUnsupported else { throw error }
      try file.truncate(toByteCount: end)
    }
  }

  /// Cuts preallocated space behind the last row and record, at a clean stop.
  package func giveBackSpace() throws(DiskError) {
    let (rowCount, logEnd) = tail.withLock { ($0.rowCount, $0.logEnd) }
    guard rowCount == shard.rowCount else { return }
    try embeddings.truncate(toByteCount: shard.geometry.offset(ofRow: rowCount))
    try log.truncate(toByteCount: logEnd)
    try embeddings.sync()
    try log.sync()
  }

  /// Makes the rows written so far durable.
  package func syncRows() throws(DiskError) { try embeddings.sync() }

  /// Makes the records written so far durable.
  package func syncLog() throws(DiskError) { try log.sync() }

  /// Advances the watermark over batches that are durable, and makes them readable.
  ///
  /// - Throws: when the header cannot be written; the batches are readable and durable all the same.
  package func publish(_ batches: [WrittenBatch]) throws(DiskError) {
    shard.publish(batches)
    try embeddings.write(shard.geometry.header(rowCount: shard.rowCount).encoded, at: 0)
  }
}
