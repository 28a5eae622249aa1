// Bits that change on the disk, and what the scrub does about them.

import DiskSimulation
import Logging
import ShardStore
import SystemIO

@testable import IngestService

extension Program {
  /// Of the first sealed shard, once.
  func decay(_ decay: Decay, in collection: Collection) {
    guard !model.isDecayed, let shard = collection.shards.first(where: { $0.summary.isSealed })
    else { return }
    let files = opener.collection.shard(shard.identity.number)
    note(.decayed(decay.ids(in: shard, workload)))
    switch decay {
    case .index: disk.flipBit(8 * 70 + 3, in: files.index)
    case .header: disk.flipBit(8 * 100 + 1, in: files.embeddings)
    case .log: disk.flipBit(8 * 60, in: files.log)
    case .row(let row):
      disk.flipBit(8 * (Self.geometry.offset(ofRow: row) + 6), in: files.embeddings)
    }
  }

  /// What the scrub does about each shard, twice: what it made again is read again.
  func scrub(_ collection: Collection) -> Bool {
    let scrubber = Scrubber(
      configuration: Workload.configuration, catalog: nil, follower: nil, quarantine: quarantine,
      logger: Logger(label: "explorer") { _ in SwiftLogNoOpLogHandler() }, collections: { [] })
    for shard in collection.shards {
      for _ in 0..<2 {
        let isRepaired = scrubber.treat(
          verify(shard), of: shard, in: collection, cause: "scrub")
        if !isRepaired { break }
      }
    }
    return collection.unusableShards.isEmpty
      && collection.shards.allSatisfy { unexpectedDamage(verify($0)).isEmpty }
  }

  func verify(_ shard: Shard) -> ShardVerification {
    let summary = shard.summary
    return ShardVerifier(opener).verify(
      summary.number,
      evidence: ShardVerifier.Evidence(
        durable: summary.isSealed ? nil : (summary.rowCount, summary.logEnd)))
  }

  /// Leaves out rows that decayed.
  func unexpectedDamage(_ found: ShardVerification) -> [ShardDamage] {
    found.damage.filter { damage in
      damage.ids.isEmpty || !damage.ids.allSatisfy(model.damageable.contains)
    }
  }
}

extension Decay {
  /// Those that it damages.
  fileprivate func ids(in shard: Shard, _ workload: Workload) -> Set<String> {
    guard case .row(let row) = self else { return [] }
    let records = shard.readableRecords.map(\.record).filter { $0.rows.contains(row) }
    let changes = records.compactMap { Workload.change($0.batchID) }
    return Set(
      changes.flatMap { change in
        let ids = workload.batches[change].ids
        return (0..<ids.count).map(ids.string)
      })
  }
}
