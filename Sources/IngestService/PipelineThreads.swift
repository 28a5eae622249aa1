// The threads of the commit pipeline: one writes, one syncs, one helps to sync two files at once.
// What they do is in CommitPipeline.swift.

internal import ShardStore
internal import Synchronization
internal import SystemIO

/// Takes batches from any thread and commits them in groups.
final class PipelineThreads: Sendable {
  private let queue = Monitor(Queue())
  private let handover = Monitor(Handover())
  private let threads = Mutex<[NamedThread]>([])
  private let groupByteCountMax: Int

  private struct Queue {
    var batches: [PendingBatch] = []
    var isClosed = false
  }

  /// At most one group waits while another is synced.
  private struct Handover {
    var parts: [WrittenPart]?
    var isSyncing = false
    var isClosed = false
  }

  init(groupByteCountMax: Int) { self.groupByteCountMax = groupByteCountMax }

  func start(_ pipeline: CommitPipeline) {
    threads.withLock {
      $0 = [
        NamedThread("ingot-write") { [self] in writeGroups(pipeline) },
        NamedThread("ingot-sync") { [self] in syncGroups(pipeline) },
      ]
    }
  }

  /// - Returns: false when the pipeline is closed.
  func append(_ batch: PendingBatch) -> Bool {
    queue.change { queue in
      guard !queue.isClosed else { return false }
      queue.batches.append(batch)
      return true
    }
  }

  /// Commits what was appended, then ends the threads.
  func close() {
    queue.change { $0.isClosed = true }
    for thread in threads.withLock({ $0 }) { thread.join() }
  }

  private func writeGroups(_ pipeline: CommitPipeline) {
    var lastWasDeletion = false
    while let group = nextGroup() {
      // Nothing else is in flight with a deletion: see CommitPipeline.write.
      if group[0].batch.isDeletion || lastWasDeletion {
        handover.wait { $0.parts == nil && !$0.isSyncing ? () : nil }
      }
      lastWasDeletion = group[0].batch.isDeletion
      let parts = pipeline.write(group)
      guard !parts.isEmpty else { continue }
      handover.wait { $0.parts == nil ? () : nil }
      handover.change { $0.parts = parts }
    }
    handover.change { $0.isClosed = true }
  }

  /// Everything of one kind that waits, up to the limit; nil when the queue is closed and empty.
  private func nextGroup() -> [PendingBatch]? {
    let group = queue.wait { queue -> [PendingBatch]? in
      if queue.batches.isEmpty { return queue.isClosed ? [] : nil }
      var byteCount = 0
      let count = queue.batches.prefix { batch in
        defer { byteCount += batch.byteCount }
        return byteCount < self.groupByteCountMax
          && batch.batch.isDeletion == queue.batches[0].batch.isDeletion
      }.count
      let group = Array(queue.batches[..<count])
      queue.batches.removeFirst(count)
      return group
    }
    return group?.isEmpty == false ? group : nil
  }

  private func syncGroups(_ pipeline: CommitPipeline) {
    while true {
      let parts = handover.wait { handover -> [WrittenPart]? in
        if handover.parts == nil { return handover.isClosed ? [] : nil }
        handover.isSyncing = true
        return handover.parts.take()
      }
      guard let parts, !parts.isEmpty else { return }
      // Woken only now: the slot is free as soon as its group is taken.
      handover.change { _ in }
      pipeline.sync(parts)
      handover.change { $0.isSyncing = false }
    }
  }
}

/// Syncs the rows of a shard on the calling thread and its log on another at the same time.
final class ParallelSync: Sendable {
  private let slot = Monitor(Slot())

  private struct Slot {
    var writer: ShardWriter?
    var outcome: Result<Void, DiskError>?
    var isClosed = false
  }

  private let thread = Mutex<NamedThread?>(nil)

  func start() {
    thread.withLock { $0 = NamedThread("ingot-sync-log") { [slot] in Self.syncLogs(slot) } }
  }

  func close() {
    slot.change { $0.isClosed = true }
    thread.withLock { $0?.join() }
  }

  func syncBoth(_ writer: ShardWriter) throws(DiskError) {
    slot.change { $0.writer = writer }
    let rows: Result<Void, DiskError>
    do throws(DiskError) { rows = .success(try writer.syncRows()) } catch { rows = .failure(error) }
    // Both are waited for, whatever the first says.
    let log = slot.wait { $0.outcome.take() }
    try rows.get()
    try log?.get()
  }

  private static func syncLogs(_ slot: Monitor<Slot>) {
    while true {
      let next = slot.wait { slot -> ShardWriter?? in
        if let writer = slot.writer.take() { return writer }
        return slot.isClosed ? .some(nil) : nil
      }
      guard let next, let writer = next else { return }
      let outcome: Result<Void, DiskError>
      do throws(DiskError) { outcome = .success(try writer.syncLog()) } catch {
        outcome = .failure(error)
      }
      slot.change { $0.outcome = outcome }
    }
  }
}
