// A new catalog from all logs, and what only the old one knows. Part of StoreRebuilder.swift.

internal import Catalog
internal import ShardStore
internal import SystemIO

extension StoreRebuilder {
  mutating func keepCatalogAside() throws(StoreProblem) {
    do throws(DiskError) {
      guard try disk.kind(of: layout.catalogFile) != nil else { return }
      let aside = "\(layout.catalogFile).before-\(MonotonicTime.wallClockNanoseconds)"
      for suffix in ["", "-wal", "-shm"]
      where try disk.kind(of: layout.catalogFile + suffix) != nil {
        try disk.rename(layout.catalogFile + suffix, to: aside + suffix)
      }
      report.keptCatalog = aside
    } catch {
      throw .disk(error)
    }
  }

  /// Opens the store as a server would, which recovers its shards, makes indexes that are missing, and reads all
  /// logs into the catalog; then adds what only the old catalog knows of shards that are lost.
  mutating func fillCatalog(
    lock: StoreLock, known: CatalogSnapshot?
  ) throws(StoreProblem) {
    var configuration = ServiceConfiguration()
    configuration.compactsByItself = false
    let service = try IngestService.open(
      root: layout.root, configuration: configuration, lock: lock, logger: logger)
    defer { service.close() }
    for collection in service.collections {
      for shard in collection.shards {
        _ = shard.sortedIDs()
        report.shardCount += 1
        report.rowCount += shard.rowCount
        let (records, damagedOffsets) = shard.readLog()
        report.batchCount += records.count
        report.failures += damagedOffsets.map {
          "collection \(collection.name), shard \(shard.identity.directoryName): commits.log is damaged at byte "
            + "\($0); the ids of that batch are not in the new catalog, ingot verify says which rows they are"
        }
      }
      let replaced = collection.shards.flatMap(\.replacedShards)
      carryOver(
        collection.uuid, name: collection.name,
        without: Set(collection.shards.map(\.identity.number)).union(replaced), from: known,
        to: service.catalog)
    }
    carryOverLostCollections(opened: service.collections, from: known, to: service.catalog)
    report.failures += service.collections.flatMap { collection in
      collection.unusableShards.sorted { $0.key < $1.key }.map {
        "collection \(collection.name), shard \(ShardIdentity.directoryName($0.key)): \($0.value)"
      }
    }
  }

  private mutating func carryOverLostCollections(
    opened: [Collection], from known: CatalogSnapshot?, to catalog: Catalog?
  ) {
    let present = Set(opened.map(\.uuid))
    for uuid in (try? known?.collections()) ?? [] where !present.contains(uuid) {
      carryOver(uuid, name: "with UUID \(uuid)", without: [], from: known, to: catalog)
    }
  }

  /// - Parameter present: The shards that the new catalog has from their logs.
  private mutating func carryOver(
    _ uuid: String, name: String, without present: Set<Int>, from known: CatalogSnapshot?,
    to catalog: Catalog?
  ) {
    guard let known, let catalog else { return }
    do {
      let lost = try known.positions(collection: uuid).filter { !present.contains($0.key) }
      for (number, position) in lost.sorted(by: { $0.key < $1.key }) {
        let batches = try known.batches(collection: uuid, shard: number)
        try catalog.apply([
          Catalog.Page(collection: uuid, shard: number, batches: batches, position: position)
        ])
        report.failures.append(
          "collection \(name), shard \(ShardIdentity.directoryName(number)) is lost; "
            + "its \(position.rowCount) rows are known by their ids")
      }
    } catch {
      report.failures.append("the old catalog cannot be read: \(error)")
    }
  }
}
