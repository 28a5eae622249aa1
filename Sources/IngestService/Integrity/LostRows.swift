// Rows whose commit records are lost: their ids are known from the catalog alone, and count as missing.

internal import Catalog
internal import ShardStore
internal import Synchronization
internal import SystemIO

extension Collection {
  /// Asks the catalog for the ids of shards that are missing or cannot be opened, and of records that are damaged.
  func findLostIDs(_ catalog: (any CatalogReader)?) throws {
    guard let catalog else { return }
    var lost: [Int: SortedIDs] = [:]
    for number in unusableShards.keys {
      lost[number] = try Self.lostIDs(
        catalog.batches(collection: uuid, shard: number), seed: idHashSeed)
    }
    for shard in shards where !shard.summary.damage.isEmpty {
      let known = Set(shard.readableRecords.map(\.record.sequence))
      let number = shard.identity.number
      let batches = try catalog.batches(collection: uuid, shard: number).filter {
        !known.contains($0.sequence)
      }
      if !batches.isEmpty { lost[number] = Self.lostIDs(batches, seed: idHashSeed) }
    }
    let found = lost
    self.lost.withLock { $0 = found }
  }

  /// The ids of rows, as far as log or catalog know them.
  package func ids(ofRows rows: Range<Int>, inShard number: Int, countMax: Int) -> [String] {
    var ids: [String] = []
    if let shard = shards.first(where: { $0.identity.number == number }) {
      for found in shard.readableRecords where found.record.rows.overlaps(rows) {
        guard let list = IDList(payload: shard.idBytes(of: found), of: found.record) else {
          continue
        }
        let wanted = found.record.rows.clamped(to: rows)
        for row in wanted where ids.count < countMax {
          ids.append(list.string(row - found.record.firstRow))
        }
      }
    }
    guard let lost = lostIDs[number] else { return ids }
    lost.withEntries { entries in
      for position in 0..<entries.count where ids.count < countMax {
        let entry = unsafe entries[position]
        guard !entry.isDeletion, rows.contains(entry.row) else { continue }
        ids.append(lost.withID(of: entry) { unsafe String(decoding: $0, as: UTF8.self) })
      }
    }
    return ids
  }

  private var idHashSeed: UInt64 { opener.identity(0).idHashSeed }

  private static func lostIDs(_ batches: [CatalogBatch], seed: UInt64) -> SortedIDs {
    SortedIDs(
      lost: batches.compactMap { batch in
        batch.idList.map {
          SortedIDs.LostBatch(
            firstRow: batch.firstRow, isDeletion: batch.kind == .deletion, ids: $0)
        }
      }, seed: seed)
  }
}
