// Fills the catalog from the logs, after the acknowledgement, in large transactions.

internal import Catalog
internal import Logging
internal import ShardStore
internal import Synchronization
internal import SystemIO

/// Reads what was committed since the position in the catalog, and moves the position on with it.
final class CatalogFollower: Sendable {
  private let catalog: Catalog
  private let registry: BatchRegistry
  private let logger: Logger
  private let collections: @Sendable () -> [Collection]
  /// Makes room on a full disk; answers whether it did.
  private let makeRoom: @Sendable () -> Bool
  private let signal = Monitor(Signal())
  private let positions = Mutex<[String: [Int: Catalog.Position]]>([:])
  private let thread = Mutex<NamedThread?>(nil)
  /// Held while a log is read or forgotten: what was read of a shard is not written after it was forgotten.
  private let turn = Mutex(())

  private struct Signal {
    var hasWork = false
    var isClosed = false
    /// When the oldest batch was committed that the catalog may not have.
    var behindSince: MonotonicTime?
    var failure: String?
  }

  /// Ids of one transaction; bounds memory and how long readers of old pages hold the file.
  private static let pageByteCountMax = 8 << 20
  /// How long batches may gather before a transaction begins.
  private static let gatheringTime = Duration.milliseconds(50)
  private static let behindTimeMax = Duration.seconds(10)
  /// Before a failed transaction is tried again.
  private static let retryDelay = Duration.seconds(1)

  init(
    catalog: Catalog, registry: BatchRegistry, logger: Logger,
    makeRoom: @escaping @Sendable () -> Bool = { false },
    collections: @escaping @Sendable () -> [Collection]
  ) {
    self.makeRoom = makeRoom
    self.catalog = catalog
    self.registry = registry
    self.logger = logger
    self.collections = collections
  }

  func start() {
    thread.withLock { $0 = NamedThread("ingot-catalog", isBackground: true) { [self] in follow() } }
  }

  /// Called after every commit.
  func wake() {
    let now = MonotonicTime.now
    signal.change {
      $0.hasWork = true
      $0.behindSince = $0.behindSince ?? now
    }
  }

  /// Longer behind than a large transaction takes; nil when the catalog follows.
  var problem: String? {
    let now = MonotonicTime.now
    return signal.withLock { signal in
      guard let since = signal.behindSince else { return nil }
      let seconds = since.duration(to: now).seconds
      guard signal.failure != nil || seconds > Self.behindTimeMax.seconds else { return nil }
      return "the catalog is \(Int(seconds)) s behind: \(signal.failure ?? "still at work")"
    }
  }

  /// Catches up once more, then ends the thread.
  func close() {
    signal.change { $0.isClosed = true }
    thread.withLock { $0?.join() }
  }

  private func follow() {
    while true {
      let isClosed = signal.wait { signal -> Bool? in
        guard signal.hasWork || signal.isClosed else { return nil }
        signal.hasWork = false
        return signal.isClosed
      }
      if isClosed != true { pause(Self.gatheringTime) }
      let began = MonotonicTime.now
      do {
        try catchUp()
        signal.withLock { signal in
          signal.failure = nil
          // What came since then is not older, however long there has been work.
          signal.behindSince = signal.hasWork ? began : nil
        }
      } catch {
        logger.error("the catalog cannot be written, trying again: \(error)")
        signal.withLock { $0.failure = "\(error)" }
        if !makeRoom() {
          if isClosed == true { return }
          pause(Self.retryDelay)
        }
        wake()
      }
      if isClosed == true, signal.withLock({ $0.failure == nil }) { return }
    }
  }

  /// Waits, but not when the service is closing.
  private func pause(_ duration: Duration) {
    _ = signal.wait(until: MonotonicTime.now.advanced(by: duration)) { $0.isClosed ? () : nil }
  }

  /// Reads all logs to their durable ends.
  func catchUp() throws {
    for collection in collections() {
      for shard in collection.shards {
        try turn.withLock { _ in try catchUp(shard, of: collection) }
      }
    }
  }

  private func catchUp(_ shard: Shard, of collection: Collection) throws {
    let number = shard.identity.number
    while true {
      let position = try position(of: shard, in: collection)
      let summary = shard.summary
      if position.logOffset > summary.logEnd {
        // The catalog knows batches that the shard does not have: they are named at start and stay known.
        return
      }
      guard position.logOffset < summary.logEnd else { return }
      let page = page(of: shard, from: position, collection: collection)
      guard page.position.logOffset > position.logOffset else { return }
      try catalog.apply([page])
      positions.withLock { $0[collection.uuid, default: [:]][number] = page.position }
      registry.forget(page.batches.map(\.batchID), collection: collection.uuid)
    }
  }

  private func position(of shard: Shard, in collection: Collection) throws -> Catalog.Position {
    let number = shard.identity.number
    if let known = positions.withLock({ $0[collection.uuid]?[number] }) { return known }
    let none = Catalog.Position(logOffset: 0, rowCount: 0, firstRecordCRC32C: 0)
    var position = try catalog.positions(collection: collection.uuid)[number] ?? none
    if position.logOffset > 0, let first = shard.firstRecordCRC32C,
      first != position.firstRecordCRC32C
    {
      // Another shard stands in its place: a compaction whose end the catalog did not see, or files of a backup.
      try forgetInTurn([number], of: collection)
      position = none
    }
    positions.withLock { $0[collection.uuid, default: [:]][number] = position }
    return position
  }

  /// Puts a compacted shard in the place of those that it replaces, in one transaction: no receipt is missing
  /// in between.
  func replace(_ shards: [Int], by shard: Shard, of collection: Collection) throws {
    try turn.withLock { _ in
      let page = page(
        of: shard, from: Catalog.Position(logOffset: 0, rowCount: 0, firstRecordCRC32C: 0),
        collection: collection, byteCountMax: .max)
      try catalog.replace(shards, by: page)
      registry.forget(page.batches.map(\.batchID), collection: collection.uuid)
      positions.withLock { positions in
        for number in shards { positions[collection.uuid]?[number] = nil }
        positions[collection.uuid, default: [:]][shard.identity.number] = page.position
      }
    }
  }

  /// Forgets what a compaction replaced without living to say so: the new shard first has to be without them.
  func forgetReplacedShards(of collection: Collection) throws {
    let known = try catalog.positions(collection: collection.uuid)
    for shard in collection.shards {
      let replaced = shard.replacedShards
      let isKnown = known[shard.identity.number]?.firstRecordCRC32C == shard.firstRecordCRC32C
      let others = replaced.filter { $0 != shard.identity.number && known[$0] != nil }
      guard !replaced.isEmpty, !isKnown || !others.isEmpty else { continue }
      try forget(replaced, of: collection)
    }
  }

  /// Reads the logs of shards again from their start.
  func forget(_ shards: [Int], of collection: Collection) throws {
    try turn.withLock { _ in try forgetInTurn(shards, of: collection) }
  }

  private func forgetInTurn(_ shards: [Int], of collection: Collection) throws {
    try catalog.forget(collection: collection.uuid, shards: shards)
    positions.withLock { positions in
      for shard in shards { positions[collection.uuid]?[shard] = nil }
    }
  }

  private func page(
    of shard: Shard, from position: Catalog.Position, collection: Collection,
    byteCountMax: Int = pageByteCountMax
  ) -> Catalog.Page {
    var page = Catalog.Page(
      collection: collection.uuid, shard: shard.identity.number, batches: [], position: position)
    var reader = shard.logReader(from: position.logOffset)
    var byteCount = 0
    while byteCount < byteCountMax {
      let found: LogReader.Found?
      do throws(CommitRecord.Problem) { found = try reader.next() } catch {
        guard reader.skipDamage() else { break }
        continue
      }
      guard let found else { break }
      if found.record.kind != .replacement {
        let ids = shard.idBytes(of: found)
        byteCount += ids.count
        page.batches.append(
          CatalogBatch(found.record, shard: shard.identity.number, ids: ids))
      }
      if page.position.logOffset == 0 {
        page.position.firstRecordCRC32C = found.record.recordCRC32C
        page.position.replaced = shard.replacedShards
      }
      page.position.logOffset = found.end
      page.position.rowCount = found.record.rows.upperBound
    }
    return page
  }
}
