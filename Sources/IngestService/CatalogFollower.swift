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
  private let signal = Monitor(Signal())
  private let positions = Mutex<[String: [Int: Catalog.Position]]>([:])
  private let thread = Mutex<NamedThread?>(nil)

  private struct Signal {
    var hasWork = false
    var isClosed = false
  }

  /// Ids of one transaction; bounds memory and how long readers of old pages hold the file.
  private static let pageByteCountMax = 8 << 20
  /// How long batches may gather before a transaction begins.
  private static let gatheringTime = Duration.milliseconds(50)
  /// Before a failed transaction is tried again.
  private static let retryDelay = Duration.seconds(1)

  init(
    catalog: Catalog, registry: BatchRegistry, logger: Logger,
    collections: @escaping @Sendable () -> [Collection]
  ) {
    self.catalog = catalog
    self.registry = registry
    self.logger = logger
    self.collections = collections
  }

  func start() {
    thread.withLock { $0 = NamedThread("ingot-catalog", isBackground: true) { [self] in follow() } }
  }

  /// Called after every commit.
  func wake() { signal.change { $0.hasWork = true } }

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
      do {
        try catchUp()
      } catch {
        logger.error("the catalog cannot be written, trying again: \(error)")
        if isClosed == true { return }
        pause(Self.retryDelay)
        wake()
      }
      if isClosed == true { return }
    }
  }

  /// Waits, but not when the service is closing.
  private func pause(_ duration: Duration) {
    _ = signal.wait(until: MonotonicTime.now.advanced(by: duration)) { $0.isClosed ? () : nil }
  }

  /// Reads all logs to their durable ends.
  func catchUp() throws {
    for collection in collections() {
      for shard in collection.shards { try catchUp(shard, of: collection) }
    }
  }

  private func catchUp(_ shard: Shard, of collection: Collection) throws {
    let number = shard.identity.number
    while true {
      let position = try position(of: number, in: collection)
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

  private func position(of shard: Int, in collection: Collection) throws -> Catalog.Position {
    if let known = positions.withLock({ $0[collection.uuid]?[shard] }) { return known }
    let stored = try catalog.positions(collection: collection.uuid)
    let position = stored[shard] ?? Catalog.Position(logOffset: 0, rowCount: 0)
    positions.withLock { $0[collection.uuid, default: [:]][shard] = position }
    return position
  }

  private func page(
    of shard: Shard, from position: Catalog.Position, collection: Collection
  ) -> Catalog.Page {
    var page = Catalog.Page(
      collection: collection.uuid, shard: shard.identity.number, batches: [], position: position)
    var reader = shard.logReader(from: position.logOffset)
    var byteCount = 0
    while byteCount < Self.pageByteCountMax {
      let found: LogReader.Found?
      do throws(CommitRecord.Problem) { found = try reader.next() } catch {
        guard reader.skipDamage() else { break }
        continue
      }
      guard let found else { break }
      let ids = shard.idBytes(of: found)
      byteCount += ids.count
      page.batches.append(
        CatalogBatch(found.record, shard: shard.identity.number, ids: ids))
      page.position = Catalog.Position(
        logOffset: found.end, rowCount: found.record.rows.upperBound)
    }
    return page
  }
}
