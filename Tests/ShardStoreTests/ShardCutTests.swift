// Promise: a copy made by the cut of a shard, at any step of its life, is a clean shard of acknowledged batches.

import DiskSimulation
import ShardStore
import SystemIO
import TestContent
import Testing

@Suite struct ShardCutTests {
  /// Copies by the cut, into a store of its own, and verifies what is there.
  private func verifyCopy(
    of fixture: ShardFixture, _ cut: ShardCut
  ) throws -> ShardVerification {
    let copy = ShardFixture()
    let (from, to) = (fixture.layout(), copy.layout())
    try copy.disk.makeDirectory(to.root)
    var rows = try fixture.bytes(from.embeddings)
    rows = Array(rows[..<min(rows.count, cut.embeddingsByteCount)])
    rows.replaceSubrange(0..<128, with: fixture.geometry.header(rowCount: cut.rowCount).encoded)
    try copy.disk.createFile(to.embeddings).write(rows, at: 0)
    let log = try fixture.bytes(from.log)
    try copy.disk.createFile(to.log).write(Array(log[..<cut.logByteCount]), at: 0)
    return copy.verify()
  }

  private func cut(
    _ fixture: ShardFixture, catalogRowCount: Int = 0, next: Int? = nil
  ) throws -> ShardCut {
    try fixture.opener.cut(0, catalogRowCount: catalogRowCount) { next }
  }

  @Test func takesWhatIsPublishedAndNothingElseAtEveryStepOfACommit() throws {
    let fixture = ShardFixture()
    let writer = try fixture.write([3, 2])
    var found = [try cut(fixture)]
    let written = try writer.write([fixture.batch(3, rowCount: 4)])
    found.append(try cut(fixture))
    try writer.syncRows()
    try writer.syncLog()
    found.append(try cut(fixture))
    try writer.publish(written)
    found.append(try cut(fixture))

    #expect(found.map(\.rowCount) == [5, 5, 5, 9])
    #expect(found.map(\.lastSequence) == [2, 2, 2, 3])
    #expect(Set(found[..<3].map(\.logByteCount)).count == 1)
    for cut in found {
      let copy = try verifyCopy(of: fixture, cut)
      #expect(copy.damage == [] && copy.notes == [] && copy.rowCount == cut.rowCount)
      #expect(!cut.isSealed && cut.damage == nil)
    }
  }

  @Test func takesDeletionsBehindTheLastRow() throws {
    let fixture = ShardFixture()
    let writer = try fixture.write([3])
    let deletion = Batch(
      deletionOf: IDList(["1-0"]), dimension: fixture.geometry.dimension, dtype: .float32)
    _ = try writer.write([
      BatchToWrite(
        batch: deletion, batchID: "gone", sequence: 2, committedAt: 0, idHashes: [0])
    ])
    let found = try cut(fixture)

    #expect(found.rowCount == 3 && found.lastSequence == 2)
    #expect(try verifyCopy(of: fixture, found).damage == [])
  }

  @Test func believesTheLargestOfHeaderCatalogAndRecords() throws {
    let fixture = ShardFixture()
    _ = try fixture.write([3, 2, 4])
    try fixture.overwrite(
      fixture.layout().embeddings, at: 0, with: fixture.geometry.header(rowCount: 0).encoded)

    // The third record says that the rows of the first two were durable.
    #expect(try cut(fixture).rowCount == 5)
    #expect(try cut(fixture, catalogRowCount: 9).rowCount == 9)
    #expect(try cut(fixture, catalogRowCount: 9).damage == nil)
  }

  @Test func takesAllBatchesBeforeTheNextShardAndNoneFromThereOn() throws {
    let fixture = ShardFixture()
    let writer = try fixture.write([3, 2])
    _ = try writer.write([fixture.batch(3, rowCount: 4)])

    #expect(try cut(fixture, next: 4).rowCount == 9)
    #expect(try cut(fixture, next: 3).rowCount == 5)
    #expect(try cut(fixture, next: 4).damage == nil && cut(fixture, next: 3).damage == nil)
  }

  @Test func takesASealedShardWhole() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([3, 2])
    let found = try cut(fixture)

    #expect(found.isSealed && found.rowCount == 5 && found.lastSequence == 2)
    #expect(try fixture.bytes(fixture.layout().embeddings).count == found.embeddingsByteCount)
    #expect(try fixture.bytes(fixture.layout().log).count == found.logByteCount)
  }

  @Test func doesNotTakeAShardForSealedWhoseRowsWereCut() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([3, 2])
    try fixture.cut(fixture.layout().embeddings, to: 200)
    let found = try cut(fixture)

    #expect(!found.isSealed)
    #expect(found.damage?.contains("200 bytes") == true)
  }

  /// Damage is copied as it is, with everything behind it, so that the copy names the same rows.
  @Test func goesOnBehindADamagedRecord() throws {
    let fixture = ShardFixture()
    _ = try fixture.write([3, 2, 4])
    let middle = try fixture.recordOffsets()[1]
    fixture.flipBit((middle + 90) * 8, in: fixture.layout().log)
    let found = try cut(fixture)

    #expect(found.rowCount == 9 && found.damage != nil)
    let copy = try verifyCopy(of: fixture, found)
    #expect(copy.damage.map(\.rows) == [3..<5])
  }

  @Test func namesRowsWhoseRecordsAreLost() throws {
    let fixture = ShardFixture()
    _ = try fixture.write([3, 2])
    let last = try fixture.recordOffsets()[1]
    try fixture.overwrite(
      fixture.layout().log, at: last, with: [UInt8](repeating: 0, count: 300))
    let found = try cut(fixture)

    #expect(found.rowCount == 5 && found.damage != nil)
    #expect(try verifyCopy(of: fixture, found).damage.map(\.rows) == [3..<5])
  }
}
