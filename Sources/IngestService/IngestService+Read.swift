// Receipts and rows by id. Newest commit wins.

internal import Catalog
package import ShardStore
internal import Synchronization
internal import SystemIO

extension Collection {
  /// What the newest commit says of an id.
  package enum Finding: Sendable {
    /// The row that is served.
    case row(Shard, Int)
    /// The row exists and was taken out of service.
    case damaged(shard: Int, reason: String)
    /// The row was committed, and its shard or its commit record is gone.
    case lost(shard: Int, reason: String)
    case deleted
    case unknown
  }

  package func find(_ id: [UInt8]) -> Finding {
    let seed = opener.identity(0).idHashSeed
    let hash = unsafe id.withUnsafeBytes { XXH3.hash64($0, seed: seed) }
    let lost = newestLost(id, hash: hash)
    for shard in shards.reversed() {
      if let lost, lost.shard > shard.identity.number { return lost.finding }
      let row: Int
      switch shard.newest(ofID: id, hash: hash) {
      case nil: continue
      case .deleted: return .deleted
      case .row(let found): row = found
      }
      if let lost, lost.shard == shard.identity.number, lost.entry.row > row {
        return lost.finding
      }
      if let damage = shard.summary.damage.first(where: { $0.rows.contains(row) }) {
        return .damaged(shard: shard.identity.number, reason: damage.reason)
      }
      return .row(shard, row)
    }
    return lost?.finding ?? .unknown
  }

  private struct LostEntry {
    let shard: Int
    let entry: IDIndexEntry

    var finding: Finding {
      entry.isDeletion
        ? .deleted : .lost(shard: shard, reason: "the commit record of its row is lost")
    }
  }

  private func newestLost(_ id: [UInt8], hash: UInt64) -> LostEntry? {
    let lost = lostIDs
    guard !lost.isEmpty else { return nil }
    for (number, ids) in lost.sorted(by: { $0.key > $1.key }) {
      if let entry = ids.newest(ofID: id, hash: hash) {
        return LostEntry(shard: number, entry: entry)
      }
    }
    return nil
  }
}

extension IngestService {
  package func receipt(
    _ batchID: String, in collection: Collection
  ) throws(IngestError) -> Receipt? {
    let key = BatchRegistry.Key(collection: collection.uuid, batchID: batchID)
    if let recent = registry.receipt(key) { return recent }
    return try catalogReceipt(collection, batchID: batchID)
  }

  /// Receipts in the order of their commit.
  ///
  /// - Parameters:
  ///   - prefix: of the batch id; empty for all.
  ///   - after: the sequence behind which, in the direction of the order, the list goes on.
  package func receipts(
    in collection: Collection, prefix: String, descending: Bool, after: Int?, limit: Int
  ) throws(IngestError) -> [Receipt] {
    let recent = registry.receipts(collection: collection.uuid).filter { receipt in
      // A deletion has no rows, and no batch id that somebody chose.
      !receipt.rows.isEmpty && receipt.batchID.hasPrefix(prefix)
        && (after.map { descending ? receipt.sequence < $0 : receipt.sequence > $0 } ?? true)
    }
    let stored: [Receipt]
    do {
      stored =
        try catalog?.batches(
          collection: collection.uuid, prefix: prefix, descending: descending, after: after,
          limit: limit
        ).map { Receipt($0, collection: collection.name) } ?? []
    } catch {
      throw catalogFailure(error)
    }
    // The follower may have moved a receipt from one place to the other meanwhile.
    let known = Set(recent.map(\.sequence))
    let all = (recent + stored.filter { !known.contains($0.sequence) }).sorted {
      descending ? $0.sequence > $1.sequence : $0.sequence < $1.sequence
    }
    return Array(all.prefix(limit))
  }
}
