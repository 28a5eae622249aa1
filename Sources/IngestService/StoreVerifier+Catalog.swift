// Compares the catalog with the logs, both in the order of their batches. The catalog may be behind, and is never ahead.

internal import Catalog
internal import ShardStore
internal import SystemIO

extension StoreVerifier {
  /// The catalog, or a note that says why it is not compared.
  func openCatalog() -> (CatalogSnapshot?, notes: [String]) {
    let path = layout.catalogFile
    guard (try? disk.kind(of: path)) == .file else { return (nil, []) }
    do {
      let catalog = try CatalogSnapshot(path: path)
      if let problem = try catalog.problem() {
        return (nil, ["\(path) is damaged (\(problem)); removed, it is made again from the logs"])
      }
      return (catalog, [])
    } catch {
      return (nil, ["\(path) cannot be read (\(error)); it will be made again from the logs"])
    }
  }

  /// Collections that only the catalog knows.
  func checkLostCollections(
    _ catalog: CatalogSnapshot, known: Set<String>, _ result: inout StoreVerification
  ) {
    guard let uuids = try? catalog.collections() else { return }
    for uuid in uuids where !known.contains(uuid) {
      var check = CatalogCheck(catalog, collection: uuid)
      var damage: [StoreDamage] = []
      check.finish(collection: uuid, &damage)
      let ids = damage.flatMap(\.ids)
      result.damage.append(
        StoreDamage(
          ids: ids,
          reason:
            "a collection with UUID \(uuid) and \(ids.count) rows is in the catalog and not on "
            + "disk"))
    }
  }
}

/// Goes through the batches of a collection in the catalog while the logs are read.
struct CatalogCheck {
  private let catalog: CatalogSnapshot?
  private let collection: String
  private let positions: [Int: Catalog.Position]
  private(set) var notes: [String] = []
  private var page: ArraySlice<CatalogBatch> = []
  private var lastSequence = 0
  private var isAtEnd = false

  /// Batches of one read; bounds memory.
  private static let pageBatchCount = 64

  init(_ catalog: CatalogSnapshot?, collection: String) {
    self.catalog = catalog
    self.collection = collection
    do {
      positions = try catalog?.positions(collection: collection) ?? [:]
      isAtEnd = catalog == nil
    } catch {
      positions = [:]
      isAtEnd = true
      notes.append("catalog.sqlite cannot be compared: \(error)")
    }
  }

  /// One behind the last shard that the catalog knows.
  var shardEnd: Int {
    min((positions.keys.max() ?? -1), ShardIdentity.numberMax) + 1
  }

  func position(ofShard number: Int) -> Catalog.Position {
    positions[number]
      ?? Catalog.Position(logOffset: 0, rowCount: 0, firstRecordCRC32C: 0)
  }

  /// Compares the batches of a shard, in order, with the catalog's.
  mutating func compare(
    _ shard: ShardVerification, collection: String, _ damage: inout [StoreDamage]
  ) {
    for found in shard.records {
      while let batch = next(), batch.sequence < found.record.sequence {
        missing(batch, collection: collection, &damage)
        drop()
      }
      guard let batch = next(), batch.sequence == found.record.sequence else { continue }
      drop()
      let expected = CatalogBatch(
        found.record, shard: shard.number, ids: shard.idBytes(of: found))
      guard batch != expected else { continue }
      damage.append(
        StoreDamage(
          collection: collection, shard: shard.number,
          reason: "catalog.sqlite differs from commits.log about batch \(batch.sequence), rows "
            + "\(found.record.rows)"))
    }
    let position = position(ofShard: shard.number)
    if position.logOffset > shard.logEnd, !damage.contains(where: { $0.shard == shard.number }) {
      damage.append(
        StoreDamage(
          collection: collection, shard: shard.number,
          reason: "commits.log ends at byte \(shard.logEnd); the catalog has read up to "
            + "\(position.logOffset)"))
    }
  }

  /// What is left in the catalog is in no log.
  mutating func finish(collection: String, _ damage: inout [StoreDamage]) {
    while let batch = next() {
      missing(batch, collection: collection, &damage)
      drop()
    }
  }

  /// A batch that should exist: its ids are named where its rows are.
  private func missing(
    _ batch: CatalogBatch, collection: String, _ damage: inout [StoreDamage]
  ) {
    let list = batch.idList
    let ids = list.map { list in (0..<list.count).map(list.string) } ?? []
    let place = damage.lastIndex {
      $0.shard == batch.shard && $0.rows.contains(batch.firstRow)
    }
    if let place {
      damage[place].ids += ids
    } else {
      damage.append(
        StoreDamage(
          collection: collection, shard: batch.shard,
          rows: batch.firstRow..<(batch.firstRow + batch.rowCount), ids: ids,
          reason: "batch \(batch.sequence) is in the catalog and not in commits.log"))
    }
  }

  /// The next batch of the catalog; nil at its end.
  private mutating func next() -> CatalogBatch? {
    if page.isEmpty, !isAtEnd, let catalog {
      do {
        page = try catalog.batches(
          collection: collection, after: lastSequence, limit: Self.pageBatchCount)[...]
      } catch {
        notes.append("catalog.sqlite cannot be compared any further: \(error)")
      }
      isAtEnd = page.isEmpty
    }
    return page.first
  }

  private mutating func drop() {
    lastSequence = page.removeFirst().sequence
  }
}
