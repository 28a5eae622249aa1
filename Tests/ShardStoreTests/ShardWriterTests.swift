// Appending to one shard: what fits, growth in steps, a full disk, and what a reader sees when.

import DiskSimulation
import Glibc
import ShardStore
import SystemIO
import TestContent
import Testing

@Suite struct ShardWriterTests {
  @Test func takesBatchesUntilItsRowsAreFull() throws {
    let fixture = ShardFixture(rowCapacity: 10)
    let writer = try fixture.write([4])
    func fits(_ rowCounts: [Int]) -> Int {
      writer.countThatFits(rowCounts.map { fixture.batch(2, rowCount: $0).batch })
    }

    #expect(fits([6]) == 1)
    #expect(fits([7]) == 0)
    #expect(fits([3, 3]) == 2)
    #expect(fits([3, 3, 1]) == 2)
    #expect(fits([7, 1]) == 0)
    #expect(fits([]) == 0)
  }

  @Test func givesALargerBatchAShardOfItsSize() throws {
    let fixture = ShardFixture(rowCapacity: 4)

    let geometry = fixture.geometry.fitting(rowCount: 9)

    #expect(geometry.rowCapacity == 9)
    #expect(fixture.geometry.fitting(rowCount: 2).rowCapacity == 4)
    #expect(geometry.rowStride == 32 && geometry.offset(ofRow: 2) == 192)
    #expect(geometry.bytes(ofRows: 1..<3) == 160..<224)
  }

  @Test func growsBothFilesInSteps() throws {
    let fixture = ShardFixture(
      rowCapacity: 64, steps: AllocationSteps(rowsByteCount: 320, logByteCount: 512))
    let writer = try fixture.write([2])
    var sizes: [[Int]] = []
    for number in 2...6 {
      let written = try writer.write([fixture.batch(number, rowCount: 5)])
      try writer.syncRows()
      try writer.syncLog()
      try writer.publish(written)
      sizes.append(
        try [fixture.layout().embeddings, fixture.layout().log].map { try fixture.bytes($0).count })
    }

    #expect(sizes.map { $0[0] } == [448, 768, 768, 1088, 1088])
    #expect(sizes.map { $0[1] } == [512, 1080, 1080, 1080, 1656])
    #expect(fixture.verify().damage == [] && fixture.verify().rowCount == 27)
    try writer.giveBackSpace()
    #expect(try fixture.bytes(fixture.layout().embeddings).count == 128 + 27 * 32)
    #expect(try fixture.bytes(fixture.layout().log).count == fixture.verify().logEnd)
  }

  @Test(arguments: ["fallocate", "pwrite"])
  func changesNothingWhenTheDiskIsFullAndGoesOnLater(operation: String) throws {
    let fixture = ShardFixture(steps: AllocationSteps(rowsByteCount: 64, logByteCount: 64))
    let writer = try fixture.write([2])
    fixture.disk.setFault { name, _, _ in name == operation ? ENOSPC : nil }

    let error = #expect(throws: DiskError.self) {
      try writer.write([fixture.batch(2, rowCount: 20)])
    }

    #expect(error?.isOutOfSpace == true)
    #expect(writer.shard.rowCount == 2)
    fixture.disk.setFault(nil)
    #expect(fixture.verify().damage == [] && fixture.verify().rowCount == 2)

    let written = try writer.write([fixture.batch(2, rowCount: 3), fixture.batch(3, rowCount: 1)])
    try writer.syncRows()
    try writer.syncLog()
    try writer.publish(written)
    #expect(written.map(\.rows) == [2..<5, 5..<6])
    #expect(fixture.verify().damage == [] && fixture.verify().rowCount == 6)
  }

  @Test func setsTheSizeAloneWhereBlocksCannotBeReserved() throws {
    let fixture = ShardFixture()
    fixture.disk.setFault { name, _, _ in name == "fallocate" ? EOPNOTSUPP : nil }

    try fixture.writeOpen([2, 3])

    #expect(fixture.verify().damage == [] && fixture.verify().rowCount == 5)
  }

  @Test func showsRowsOnlyOnceTheyArePublished() throws {
    let fixture = ShardFixture()
    let writer = try fixture.write([2])
    let written = try writer.write([fixture.batch(2, rowCount: 3)])
    let id = Array("2-0".utf8)
    let hash = IDList(["2-0"]).hash(0, seed: fixture.identity(0).idHashSeed)

    #expect(writer.shard.rowCount == 2)
    #expect(writer.shard.newest(ofID: id, hash: hash) == nil)
    try writer.publish(written)
    #expect(writer.shard.rowCount == 5)
    #expect(writer.shard.newest(ofID: id, hash: hash) == .row(2))
  }

  /// What is mapped of a log ends where a log may end.
  @Test func aShardOfDeletionsAloneIsFullWhenItsLogIs() throws {
    let fixture = ShardFixture()
    let writer = try ShardWriter.create(
      fixture.identity(0), geometry: fixture.geometry, firstRowCount: 0, in: fixture.collection,
      disk: fixture.disk, steps: fixture.steps)
    let ids = IDList((0..<2000).map { String($0) + String(repeating: "x", count: 500) })
    let deletion = Batch(deletionOf: ids, dimension: 8, dtype: .float32)
    let most = ShardGeometry.logByteCountMax / ids.bytes.count

    let count = writer.countThatFits(repeatElement(deletion, count: 2 * most))

    #expect((most - 10...most).contains(count))
  }

  @Test func hasANameOnlyOnceItsFirstBatchIsDurable() throws {
    let fixture = ShardFixture()
    let writer = try ShardWriter.create(
      fixture.identity(0), geometry: fixture.geometry, firstRowCount: 1, in: fixture.collection,
      disk: fixture.disk, steps: fixture.steps)
    let written = try writer.write([fixture.batch(1, rowCount: 1)])

    #expect(try fixture.disk.names(inDirectory: fixture.collection.shards) == [])
    try writer.makeVisible(firstBatches: written, in: fixture.collection, disk: fixture.disk)
    #expect(try fixture.disk.names(inDirectory: fixture.collection.shards) == ["000000"])
    let header = try fixture.bytes(fixture.layout().embeddings).prefix(128)
    #expect(Array(header) == fixture.geometry.header(rowCount: 1).encoded)
  }

  @Test func doesNotSealWrongRowsOfAShardThatItReadsToSeal() throws {
    let fixture = ShardFixture()
    _ = try fixture.write([2, 3])
    let shard = try fixture.open().shard
    fixture.damageRow(3)

    #expect(throws: Shard.SealFailure.self) {
      try shard.seal(in: fixture.collection, disk: fixture.disk)
    }

    #expect(shard.summary.damage.map(\.rows) == [2..<5])
    #expect(!shard.summary.isSealed)
    #expect(try fixture.disk.kind(of: fixture.layout().index) == nil)
  }

  @Test func sealsWithTheChecksumsOfWhatWasWritten() throws {
    let fixture = ShardFixture()
    let shard = try fixture.write([2, 3]).shard
    fixture.damageRow(3)

    try shard.seal(in: fixture.collection, disk: fixture.disk)

    #expect(shard.summary.isSealed)
    #expect(throws: RowDamaged.self) { try shard.withRows(3..<4) { _ in } }
  }

  @Test func canBeSealedAgainAfterAnyOperationFailed() throws {
    for fault in 0..<30 {
      let fixture = ShardFixture()
      let writer = try fixture.write([2, 3])
      let counter = OperationCounter()
      fixture.disk.setFault { _, _, _ in counter.next() == fault ? EIO : nil }
      try? writer.shard.seal(in: fixture.collection, disk: fixture.disk)
      fixture.disk.setFault(nil)

      let shard = try fixture.open().shard
      #expect(shard.rowCount == 5)
      if !shard.summary.isSealed { try shard.seal(in: fixture.collection, disk: fixture.disk) }

      #expect(fixture.verify().isSealed && fixture.verify().damage == [])
    }
  }
}
