// Gives back the room of dead rows: the thread `ingot-compact`, and compaction on request.
// What is compacted: CompactionPlan.swift. How: ShardStore/ShardCompactor.swift.

internal import Catalog
internal import Logging
internal import ShardStore
internal import Synchronization
internal import SystemIO

final class Compactor: Sendable {
  private let configuration: ServiceConfiguration
  private let catalog: Catalog?
  private let follower: CatalogFollower?
  private let logger: Logger
  private let disk: any Disk
  private let root: String
  private let collections: @Sendable () -> [Collection]
  /// Told of shards in whose place there is another one now.
  private let replaced: @Sendable (Collection, [Int]) -> Void
  private let state = Monitor(State())
  private let thread = Mutex<NamedThread?>(nil)

  private struct State {
    var isClosed = false
    /// Asked for, by collection.
    var wanted: [String: Wanted] = [:]
    var progress: [String: CompactionProgress] = [:]
    /// The last sequence at the last look, by collection: without a commit since then nothing died.
    var lookedAt: [String: Int] = [:]
  }

  private struct Wanted {
    var deadPercent: Int
    var rate: Int?
  }

  /// How often it is looked for dead rows: to look costs a pass over all ids.
  private static let lookInterval = Duration.seconds(600)

  init(
    configuration: ServiceConfiguration, catalog: Catalog?, follower: CatalogFollower?,
    logger: Logger, disk: any Disk, root: String,
    replaced: @escaping @Sendable (Collection, [Int]) -> Void,
    collections: @escaping @Sendable () -> [Collection]
  ) {
    self.configuration = configuration
    self.catalog = catalog
    self.follower = follower
    self.logger = logger
    self.disk = disk
    self.root = root
    self.replaced = replaced
    self.collections = collections
  }

  func start() {
    thread.withLock { $0 = NamedThread("ingot-compact", isBackground: true) { [self] in run() } }
  }

  func close() {
    state.change { $0.isClosed = true }
    thread.withLock { $0.take() }?.join()
  }

  /// Asks for a compaction now.
  ///
  /// - Parameters:
  ///   - deadPercent: Shards with at least this share of dead rows are written anew.
  ///   - rate: Bytes per second; nil for as fast as it goes.
  func ask(_ collection: Collection, deadPercent: Int, rate: Int?) -> CompactionProgress {
    state.change { state in
      state.wanted[collection.uuid] = Wanted(deadPercent: deadPercent, rate: rate)
      var progress = state.progress[collection.uuid] ?? CompactionProgress()
      progress.state = "running"
      state.progress[collection.uuid] = progress
      return progress
    }
  }

  func progress(of collection: Collection) -> CompactionProgress {
    state.withLock { $0.progress[collection.uuid] } ?? CompactionProgress()
  }

  // MARK: - The thread

  private func run() {
    while true {
      let until = MonotonicTime.now.advanced(by: Self.lookInterval)
      _ = state.wait(until: until) { $0.isClosed || !$0.wanted.isEmpty ? () : nil }
      let (wanted, isClosed) = state.withLock { state in
        defer { state.wanted = [:] }
        return (state.wanted, state.isClosed)
      }
      if isClosed { return }
      for collection in collections() {
        if let one = wanted[collection.uuid] {
          compact(collection, one)
        } else if wanted.isEmpty, configuration.compactsByItself, hasNews(collection) {
          compact(
            collection,
            Wanted(
              deadPercent: configuration.compactionDeadPercent,
              rate: configuration.compactionRate))
        }
      }
    }
  }

  private func hasNews(_ collection: Collection) -> Bool {
    let sequence = collection.lastSequence
    return state.withLock { state in
      defer { state.lookedAt[collection.uuid] = sequence }
      return state.lookedAt[collection.uuid] != sequence
    }
  }

  private func compact(_ collection: Collection, _ wanted: Wanted) {
    var progress = CompactionProgress()
    progress.state = "running"
    publish(progress, of: collection)
    let live = LiveRows(collection)
    let plan = collection.compactionPlan(live, deadPercent: wanted.deadPercent)
    for group in plan.groups {
      if state.withLock({ $0.isClosed }) { break }
      let parts = live.parts.filter { group.contains($0.shard.identity.number) }
      do throws(CompactionFailure) {
        try compact(parts, of: collection, rate: wanted.rate)
        progress.replacedShardCount += parts.count
        progress.writtenShardCount += 1
        progress.removedRowCount += parts.reduce(0) { $0 + $1.rowCount - $1.liveRowCount }
      } catch {
        progress.failure = progress.failure ?? "\(error)"
        logger.error("\(collection.name), shards \(group) could not be compacted: \(error)")
      }
      publish(progress, of: collection)
    }
    progress.endedAt = MonotonicTime.wallClockNanoseconds
    let ended = progress
    state.change { state in
      state.progress[collection.uuid] = ended
      // What was asked for meanwhile comes next.
      let isLast = state.wanted[collection.uuid] == nil
      state.progress[collection.uuid]?.state = isLast ? "done" : "running"
    }
  }

  private func publish(_ progress: CompactionProgress, of collection: Collection) {
    state.change { $0.progress[collection.uuid] = progress }
  }

  // MARK: - One group

  private func compact(
    _ parts: [LiveRows.Part], of collection: Collection, rate: Int?
  ) throws(CompactionFailure) {
    try requireRoom(for: parts, collection)
    let began = MonotonicTime.now
    var doneByteCount = 0
    let numbers = parts.map(\.shard.identity.number)
    let (shard, left) = try collection.compact(parts) { [state] byteCount in
      doneByteCount += byteCount
      if let rate {
        let due = began.advanced(by: .seconds(Double(doneByteCount) / Double(max(1, rate))))
        _ = state.wait(until: due) { $0.isClosed ? () : nil }
      }
      return !state.withLock { $0.isClosed }
    } replaced: {
      follow(numbers, by: $0, of: collection)
    }
    if let left {
      logger.error("replaced shards could not be removed; the next start does it: \(left)")
    }
    logger.info(
      "\(collection.name): shards \(numbers) became one with \(shard.rowCount) rows")
  }

  private func follow(_ numbers: [Int], by shard: Shard, of collection: Collection) {
    replaced(collection, numbers)
    do { try follower?.replace(numbers, by: shard, of: collection) } catch {
      // The next start sees that the shard is another one, and reads it again.
      logger.error("the catalog could not follow a compaction: \(error)")
    }
  }

  private func requireRoom(
    for parts: [LiveRows.Part], _ collection: Collection
  ) throws(CompactionFailure) {
    let rows = parts.reduce(0) { $0 + $1.liveRowCount }
    let logs = parts.reduce(0) { $0 + $1.shard.summary.logEnd }
    let needed = collection.opener.geometry.offset(ofRow: rows) + 2 * logs
    let free = (try? disk.space(at: root))?.freeByteCount ?? 0
    let reserve = configuration.diskReserveByteCount
    guard free - needed >= reserve else {
      throw .noRoom(neededByteCount: needed, freeByteCount: free, reserveByteCount: reserve)
    }
  }
}

/// How far the compaction of a collection is.
package struct CompactionProgress: Sendable {
  /// `idle`, `running` or `done`.
  package fileprivate(set) var state = "idle"
  package fileprivate(set) var replacedShardCount = 0
  package fileprivate(set) var writtenShardCount = 0
  package fileprivate(set) var removedRowCount = 0
  package fileprivate(set) var failure: String?
  /// Nanoseconds since 1970.
  package fileprivate(set) var endedAt: Int64?
}

extension IngestService {
  /// Starts a compaction in the background, or goes on with one.
  package func compact(
    _ collection: Collection, deadPercent: Int?, rate: Int?
  ) -> CompactionProgress {
    compactor.withLock { $0 }?.ask(
      collection, deadPercent: deadPercent ?? configuration.compactionDeadPercent, rate: rate)
      ?? CompactionProgress()
  }

  package func compaction(of collection: Collection) -> CompactionProgress {
    compactor.withLock { $0 }?.progress(of: collection) ?? CompactionProgress()
  }
}
