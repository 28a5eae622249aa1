// The commit order, in one place: write, sync, make visible, publish, acknowledge.
// Two steps that never run twice at once each: write(_:) on one thread, sync(_:) on another
// (PipelineThreads.swift), so that a group is written while the one before it is synced.

package import ShardStore
internal import Synchronization
package import SystemIO

/// A checked batch that waits to be committed.
package final class PendingBatch: Sendable {
  package let collection: Collection
  package let batch: Batch
  package let batchID: String
  let idHashes: [UInt64]
  let complete: @Sendable (Result<Receipt, IngestError>) -> Void

  package init(
    collection: Collection, batch: Batch, batchID: String,
    complete: @escaping @Sendable (Result<Receipt, IngestError>) -> Void
  ) {
    self.collection = collection
    self.batch = batch
    self.batchID = batchID
    self.complete = complete
    let seed = collection.opener.identity(0).idHashSeed
    idHashes = (0..<batch.ids.count).map { batch.ids.hash($0, seed: seed) }
  }

  var byteCount: Int { batch.byteCount }
}

/// Batches of one shard that were written together and are not yet durable.
package struct WrittenPart: Sendable {
  let collection: Collection
  let generation: Int
  let writer: ShardWriter
  /// The shard has no name yet.
  let beginsShard: Bool
  let written: [WrittenBatch]
  let pending: [PendingBatch]
}

package final class CommitPipeline: Sendable {
  private let clock: @Sendable () -> Int64
  private let syncBoth: @Sendable (ShardWriter) throws(DiskError) -> Void
  private let events: Events

  /// What others want to know of commits.
  package struct Events: Sendable {
    /// Batches became durable and visible; called before they are acknowledged.
    package var committed: @Sendable (_ part: WrittenPart, _ receipts: [Receipt]) -> Void = {
      _, _ in
    }
    /// A shard takes no more batches and all of it is durable.
    package var shardFull: @Sendable (Collection) -> Void = { _ in }
    package var failed: @Sendable (_ error: DiskError) -> Void = { _ in }

    package init() {}
  }

  /// - Parameters:
  ///   - clock: Nanoseconds since 1970, for receipts.
  ///   - syncBoth: Syncs rows and log of a shard, in any order or at once.
  package init(
    events: Events,
    clock: @escaping @Sendable () -> Int64 = { MonotonicTime.wallClockNanoseconds },
    syncBoth: @escaping @Sendable (ShardWriter) throws(DiskError) -> Void = {
      writer throws(DiskError) in
      try writer.syncRows()
      try writer.syncLog()
    }
  ) {
    self.events = events
    self.clock = clock
    self.syncBoth = syncBoth
  }
}

// MARK: - Step 1: write

extension CommitPipeline {
  /// Writes a group. Batches that cannot be written are answered here.
  ///
  /// Deletions are groups of their own, written when nothing is in flight and followed by nothing until they
  /// are durable: a deletion whose record is lost although something follows it was therefore acknowledged.
  package func write(_ group: [PendingBatch]) -> [WrittenPart] {
    precondition(
      group.allSatisfy { $0.batch.isDeletion == group[0].batch.isDeletion },
      "batches and deletions do not share a group")
    var parts: [WrittenPart] = []
    var rest = group[...]
    while let first = rest.first {
      let run = rest.prefix { $0.collection === first.collection }
      rest = rest.dropFirst(run.count)
      parts += write(Array(run), in: first.collection)
    }
    return parts
  }

  private func write(_ group: [PendingBatch], in collection: Collection) -> [WrittenPart] {
    var parts: [WrittenPart] = []
    var rest = group[...]
    while let first = rest.first {
      do throws(DiskError) {
        let (writer, generation, beginsShard) = try self.writer(for: first.batch, in: collection)
        let run = rest.prefix(writer.countThatFits(rest.lazy.map(\.batch)))
        rest = rest.dropFirst(run.count)
        do throws(DiskError) {
          let sequence = collection.writing.withLock { $0.nextSequence }
          let written = try writer.write(toWrite(run, firstSequence: sequence))
          collection.writing.withLock {
            if $0.generation == generation { $0.nextSequence = sequence + run.count }
          }
          parts.append(
            WrittenPart(
              collection: collection, generation: generation, writer: writer,
              beginsShard: beginsShard, written: written, pending: Array(run)))
        } catch {
          refuse(run, after: error, in: collection, generation: generation, isNew: beginsShard)
        }
      } catch {
        refuse(rest, after: error, in: collection, generation: nil, isNew: true)
        break
      }
    }
    return parts
  }

  /// The writer that has room for `batch`; a new shard's when the last one is full.
  private func writer(
    for batch: Batch, in collection: Collection
  ) throws(DiskError) -> (writer: ShardWriter, generation: Int, beginsShard: Bool) {
    let now = collection.writing.withLock { $0 }
    if let writer = now.writer, writer.countThatFits(CollectionOfOne(batch)) == 1 {
      return (writer, now.generation, false)
    }
    let opener = collection.opener
    guard now.nextShard <= ShardIdentity.numberMax else {
      throw .noSpace(
        "begin shard \(now.nextShard), and the last number is \(ShardIdentity.numberMax):",
        opener.collection.root)
    }
    let writer = try ShardWriter.create(
      opener.identity(now.nextShard),
      geometry: opener.geometry.fitting(rowCount: batch.rowCount), firstRowCount: batch.rowCount,
      in: opener.collection, disk: opener.disk, steps: opener.steps)
    collection.writing.withLock { writing in
      guard writing.generation == now.generation else { return }
      writing.writer = writer
      writing.nextShard += 1
    }
    return (writer, now.generation, true)
  }

  private func toWrite(
    _ run: ArraySlice<PendingBatch>, firstSequence: Int
  ) -> [BatchToWrite] {
    let now = clock()
    return zip(run, firstSequence...).map { pending, sequence in
      BatchToWrite(
        batch: pending.batch, batchID: pending.batchID, sequence: sequence, committedAt: now,
        idHashes: pending.idHashes)
    }
  }

  /// Answers batches that were not written. After anything but a full disk the shard is left alone.
  ///
  /// - Parameters:
  ///   - generation: Nil when there is no shard to be left.
  ///   - isNew: They needed a shard of their own.
  private func refuse(
    _ batches: ArraySlice<PendingBatch>, after error: DiskError, in collection: Collection,
    generation: Int?, isNew: Bool
  ) {
    if let generation, isNew || !error.isOutOfSpace {
      collection.writing.withLock { writing in
        guard writing.generation == generation else { return }
        writing.writer = nil
        if isNew { writing.nextShard -= 1 }
      }
    }
    if !error.isOutOfSpace { events.failed(error) }
    for batch in batches {
      batch.complete(.failure(refusal(of: batch, after: error, beginsShard: isNew)))
    }
  }

  private func refusal(
    of batch: PendingBatch, after error: DiskError, beginsShard: Bool
  ) -> IngestError {
    guard error.isOutOfSpace else { return IngestError(error) }
    let opener = batch.collection.opener
    let space = try? opener.disk.space(at: opener.collection.root)
    // Two files and their directory, and the log that is reserved before the rows.
    let shardByteCount = opener.steps.logByteCount + 16 << 10
    return .diskFull(
      neededByteCount: batch.byteCount + (beginsShard ? shardByteCount : 0),
      freeByteCount: space?.freeByteCount ?? 0,
      reason: space?.freeInodeCount == 0 ? "inodes" : "\(error)")
  }
}

// MARK: - Step 2: sync, make visible, publish, acknowledge

extension CommitPipeline {
  /// Makes parts durable in the order in which they were written, and answers their batches.
  package func sync(_ parts: [WrittenPart]) {
    for part in parts { sync(part) }
  }

  private func sync(_ part: WrittenPart) {
    guard part.collection.writing.withLock({ $0.generation }) == part.generation else {
      answer(part, .storageFailed("a batch before this one could not be made durable"))
      return
    }
    do throws(DiskError) {
      try syncBoth(part.writer)
      if part.beginsShard { try beginShard(part) }
    } catch {
      giveUp(part, error)
      return
    }
    // Durable from here on: a header that cannot be written is behind, which is allowed.
    do throws(DiskError) { try part.writer.publish(part.written) } catch { retire(part, error) }
    let shard = part.writer.shard.identity.number
    let receipts = part.written.map {
      Receipt($0.record, shard: shard, collection: part.collection.name)
    }
    part.collection.writing.withLock { $0.durableSequence = receipts.last?.sequence ?? 0 }
    events.committed(part, receipts)
    for (pending, receipt) in zip(part.pending, receipts) { pending.complete(.success(receipt)) }
  }

  private func beginShard(_ part: WrittenPart) throws(DiskError) {
    let opener = part.collection.opener
    try part.writer.makeVisible(
      firstBatches: part.written, in: opener.collection, disk: opener.disk)
    part.collection.adopt(part.writer.shard)
    events.shardFull(part.collection)
  }

  /// A failed sync is final (promise P9): the shard ends at its last durable row, everything that was
  /// written behind it is refused, and the next batch begins a shard whose first sequence says so.
  private func giveUp(_ part: WrittenPart, _ error: DiskError) {
    let lastShard = part.collection.lastShardNumber ?? -1
    part.collection.writing.withLock { writing in
      writing.generation += 1
      writing.writer = nil
      writing.nextSequence = writing.durableSequence + 1
      writing.nextShard = lastShard + 1
    }
    events.failed(error)
    answer(part, IngestError(error))
  }

  /// Durable, but no more is written to this shard.
  private func retire(_ part: WrittenPart, _ error: DiskError) {
    part.collection.writing.withLock { writing in
      if writing.writer === part.writer { writing.writer = nil }
    }
    events.failed(error)
  }

  private func answer(_ part: WrittenPart, _ error: IngestError) {
    for batch in part.pending { batch.complete(.failure(error)) }
  }
}
