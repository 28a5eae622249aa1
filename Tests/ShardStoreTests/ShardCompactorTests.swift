// What counts durably at which step of a compaction (promises P1 and P2). Crashes at every operation: Tests/ExplorerTests.
// Which shards are compacted: IngestServiceTests/CompactionPlanTests.swift.

import DiskSimulation
import Glibc
import ShardStore
import SystemIO
import Testing

@Suite struct ShardCompactorTests {
  /// The catalog writes down where rows are now before the old shards are removed.
  @Test func countsDurablyWhenItHasReplaced() throws {
    let (fixture, compactor) = try writtenCompaction()

    #expect(try compactor.replace().rowCount == 9)

    #expect(try rowCountsAfterPowerCuts(fixture) == [9])
  }

  /// The process ended between the exchange of the names and its sync; the next one finds the old shard in `new/`.
  @Test func removesNothingBeforeTheExchangeIsDurable() throws {
    let (fixture, compactor) = try writtenCompaction()
    fixture.disk.setFault { operation, _, _ in operation == "fsync" ? EIO : nil }
    #expect(throws: CompactionFailure.self) { try compactor.replace() }
    fixture.disk.setFault(nil)
    #expect(try rowCountsAfterPowerCuts(fixture) == [5, 9])

    try ShardWriter.removeNewShard(0, in: fixture.collection, disk: fixture.disk)

    #expect(try rowCountsAfterPowerCuts(fixture) == [9])
  }

  /// Room that a failed compaction keeps would keep the next one from succeeding.
  @Test func leavesNothingBehindWhenTheDiskIsFull() throws {
    for failing in 0..<6 {
      let (fixture, compactor) = try compaction()
      let writes = OperationCounter()
      fixture.disk.setFault { operation, _, _ in
        operation == "pwrite" && writes.next() == failing ? ENOSPC : nil
      }

      #expect(throws: CompactionFailure.self) { try compactor.write() }

      #expect(try fixture.disk.names(inDirectory: fixture.collection.newShards) == [])
      fixture.disk.setFault(nil)
      try compactor.write()
      #expect(try compactor.replace().rowCount == 9)
    }
  }

  /// Two sealed shards of 5 and 4 rows, and what is to replace both, ready in `new/`.
  private func writtenCompaction() throws -> (ShardFixture, ShardCompactor) {
    let (fixture, compactor) = try compaction()
    try compactor.write()
    return (fixture, compactor)
  }

  private func compaction() throws -> (ShardFixture, ShardCompactor) {
    let fixture = ShardFixture()
    try fixture.writeSealed([2, 3])
    try fixture.writeSealed([4], number: 1, firstSequence: 3)
    let sources = try [0, 1].map { number in
      let shard = try fixture.open(number).shard
      return ShardCompactor.Source(shard) { row, countMax in
        row < shard.rowCount ? row..<min(shard.rowCount, row + countMax) : nil
      }
    }
    return (fixture, ShardCompactor(sources, opener: fixture.opener) { _ in true })
  }

  /// What shard 0 has when nothing, or one thing, of what is not durable reaches the disk.
  private func rowCountsAfterPowerCuts(_ fixture: ShardFixture) throws -> Set<Int> {
    var cut = PowerCut(fixture.disk, blockByteCount: 512)
    cut.advanceToEnd()
    return try Set(
      (-1..<cut.pieces.count).map { kept in
        let shard = try fixture.opener(on: cut.disk { $0 == kept }).open(
          0, catalogRowCount: 0, nextShardSequence: nil
        ).shard
        #expect(shard.summary.damage == [])
        #expect(shard.summary.isSealed)
        #expect(shard.replacedShards == (shard.rowCount == 9 ? [0, 1] : []))
        return shard.rowCount
      })
  }
}
