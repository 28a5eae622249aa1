// Promise P5: a torn tail is cut, a damaged committed row never is. Rules: docs/shard-format.md "Recovery".

import DiskSimulation
import Glibc
import ShardStore
import SystemIO
import Testing

@Suite struct RecoveryTests {
  /// Two batches of 2 and 3 rows are durable; a third of 2 rows is written and was never synced.
  private func shardWithThirdBatch() throws -> ShardFixture {
    let fixture = ShardFixture()
    let writer = try fixture.write([2, 3])
    _ = try writer.write([fixture.batch(3, rowCount: 2)])
    return fixture
  }

  @Test func keepsAWholeBatchAboveTheWatermark() throws {
    let fixture = try shardWithThirdBatch()

    let opened = try fixture.open()

    #expect(opened.shard.rowCount == 7)
    #expect(opened.tornTail == nil)
    #expect(opened.shard.summary.lastSequence == 3)
  }

  @Test func cutsATornLastRecord() throws {
    let fixture = try shardWithThirdBatch()
    let last = try fixture.recordOffsets()[2]
    fixture.flipBit((last + 170) * 8, in: fixture.layout().log)

    let opened = try fixture.open()

    #expect(opened.shard.rowCount == 5)
    #expect(opened.tornTail != nil)
    #expect(opened.shard.summary.damage == [])
    #expect(try fixture.bytes(fixture.layout().log).count == last)
  }

  @Test func cutsTornRows() throws {
    let fixture = try shardWithThirdBatch()
    fixture.damageRow(6)

    let opened = try fixture.open()

    #expect(opened.shard.rowCount == 5)
    #expect(opened.tornTail?.contains("batch 3") == true)
    #expect(opened.writer != nil)
    #expect(
      try fixture.bytes(fixture.layout().embeddings).count == fixture.geometry.offset(ofRow: 5))
  }

  @Test func takesBatchesAgainBehindACutTail() throws {
    let fixture = try shardWithThirdBatch()
    fixture.damageRow(6)

    let writer = try #require(try fixture.open().writer)
    let written = try writer.write([fixture.batch(3, rowCount: 4)])
    try writer.syncRows()
    try writer.syncLog()
    try writer.publish(written)

    #expect(written.map(\.rows) == [5..<9])
    #expect(fixture.verify().damage == [])
    #expect(fixture.verify().rowCount == 9)
  }

  /// Batch 1 was durable when batch 2 was written, so its damage is rot even behind a header that is behind.
  @Test(arguments: [true, false])
  func neverCutsADamagedRecordBelowTheWatermark(isHeaderBehind: Bool) throws {
    let fixture = try shardWithThirdBatch()
    if isHeaderBehind {
      try fixture.overwrite(
        fixture.layout().embeddings, at: 0, with: fixture.geometry.header(rowCount: 0).encoded)
    }
    let (logBefore, first) = (
      try fixture.bytes(fixture.layout().log), try fixture.recordOffsets()[0]
    )
    fixture.flipBit((first + 90) * 8, in: fixture.layout().log)

    let opened = try fixture.open()

    #expect(opened.shard.summary.damage.map(\.rows) == [0..<2])
    #expect(opened.shard.rowCount == 7)
    #expect(opened.writer == nil)
    #expect(try fixture.bytes(fixture.layout().log).count == logBefore.count)
    #expect(throws: RowDamaged.self) { try opened.shard.withRows(0..<1) { _ in } }
    #expect(throws: Never.self) { try opened.shard.withRows(2..<5) { _ in } }
  }

  @Test func makesDurableWhatItServesBesideDamage() throws {
    let fixture = try shardWithThirdBatch()
    let bit = (try fixture.recordOffsets()[0] + 90) * 8
    fixture.flipBit(bit, in: fixture.layout().log)
    #expect(try fixture.open().shard.rowCount == 7)

    var cut = PowerCut(fixture.disk, blockByteCount: 512)
    cut.advanceToEnd()
    let opened = try fixture.opener(on: cut.disk { _ in false }).open(
      0, catalogRowCount: 0, nextShardSequence: nil)

    #expect(opened.shard.rowCount == 7)
  }

  /// What a failed sync gave up is in memory only, and no later sync writes it unless it is written again.
  @Test func countsRowsOnlyOnceTheyAreWrittenAgainBehindAFailedSync() throws {
    let fixture = ShardFixture(dimension: 1024, steps: AllocationSteps(rowsByteCount: 1 << 20))
    let writer = try fixture.write([2, 3])
    _ = try writer.write([fixture.batch(3, rowCount: 2)])
    fixture.disk.setFault { operation, _, _ in operation == "fdatasync" ? EIO : nil }
    #expect(throws: DiskError.self) { try writer.syncRows() }
    fixture.disk.setFault(nil)
    try writer.syncLog()
    var cut = PowerCut(fixture.disk, blockByteCount: 4096)
    cut.advanceToEnd()
    let begin = cut.position

    #expect(try fixture.open().shard.rowCount == 7)

    cut = PowerCut(fixture.disk, blockByteCount: 4096)
    while cut.position < begin { _ = cut.advance() }
    var rowCounts: Set<Int> = []
    while !cut.isAtEnd {
      _ = cut.advance()
      for kept in -1..<cut.pieces.count {
        let opener = fixture.opener(on: cut.disk { $0 == kept })
        let shard = try opener.open(0, catalogRowCount: 0, nextShardSequence: nil).shard
        // What the header counts is believed at a start, and looked at by a verification.
        let found = ShardVerifier(opener).verify(0, evidence: .init())
        #expect(found.damage == [], "after \(cut.position) with piece \(kept)")
        rowCounts.insert(shard.rowCount)
      }
    }
    #expect(rowCounts == [5, 7])
  }

  @Test func neverCutsTheLastRecordWhenTheHeaderCountsIt() throws {
    let fixture = ShardFixture()
    try fixture.writeOpen([2, 3])
    fixture.flipBit((try fixture.recordOffsets()[1] + 90) * 8, in: fixture.layout().log)

    let opened = try fixture.open()

    #expect(opened.shard.summary.damage.map(\.rows) == [2..<5])
    #expect(opened.shard.rowCount == 5)
    #expect(opened.writer == nil)
  }

  @Test func believesTheCatalogAboutRowsThatAreGone() throws {
    let fixture = ShardFixture()
    try fixture.writeOpen([2, 3])
    try fixture.cut(fixture.layout().log, to: try fixture.recordOffsets()[1])
    try fixture.overwrite(
      fixture.layout().embeddings, at: 0, with: fixture.geometry.header(rowCount: 2).encoded)

    let opened = try fixture.open(catalogRowCount: 5)

    #expect(opened.shard.summary.damage.map(\.rows) == [2..<5])
  }

  @Test func cutsAWholeBatchBehindATornOne() throws {
    for isRecordTorn in [true, false] {
      let fixture = ShardFixture()
      let writer = try fixture.write([2])
      _ = try writer.write([fixture.batch(2, rowCount: 3)])
      _ = try writer.write([fixture.batch(3, rowCount: 1)])
      if isRecordTorn {
        fixture.flipBit((try fixture.recordOffsets()[1] + 90) * 8, in: fixture.layout().log)
      } else {
        fixture.damageRow(3)
      }

      let opened = try fixture.open()

      #expect(opened.shard.rowCount == 2)
      #expect(opened.shard.summary.damage == [])
      #expect(opened.tornTail != nil)
      #expect(opened.writer != nil)
    }
  }

  @Test func leavesOutRecordsThatTheNextShardSupersedes() throws {
    let fixture = try shardWithThirdBatch()

    let opened = try fixture.open(nextShardSequence: 3)

    #expect(opened.shard.rowCount == 5)
    #expect(opened.shard.summary.lastSequence == 2)
    #expect(opened.shard.summary.damage == [])
  }

  @Test func advancesAHeaderThatIsBehindAndRepairsADamagedOne() throws {
    let fixture = ShardFixture()
    try fixture.writeOpen([2, 3])
    let path = fixture.layout().embeddings
    let expected = try fixture.bytes(path)
    let behind = fixture.geometry.header(rowCount: 2).encoded
    for header in [behind, [UInt8](repeating: 0, count: 128)] {
      try fixture.overwrite(path, at: 0, with: header)

      #expect(try fixture.open().shard.rowCount == 5)

      #expect(try fixture.bytes(path) == expected)
    }
  }

  @Test func refusesALogWithoutARecord() throws {
    let fixture = ShardFixture()
    try fixture.writeOpen([2])
    try fixture.cut(fixture.layout().log, to: 100)

    #expect(throws: ShardUnusable.self) { try fixture.open() }
  }

  @Test func sealsAShardAgainWhoseSealIsDamaged() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([2, 3])
    let before = try fixture.bytes(fixture.layout().log)
    fixture.flipBit((before.count - 30) * 8, in: fixture.layout().log)

    let opened = try fixture.open()
    try opened.shard.seal(in: fixture.collection, disk: fixture.disk)

    #expect(try fixture.bytes(fixture.layout().log) == before)
    #expect(fixture.verify().damage == [])
  }

  @Test func servesRowsBeforeTheEndOfACutFile() throws {
    for isSealed in [true, false] {
      let fixture = ShardFixture()
      if isSealed { try fixture.writeSealed([2, 4]) } else { try fixture.writeOpen([2, 4]) }
      try fixture.cut(fixture.layout().embeddings, to: fixture.geometry.offset(ofRow: 4))

      let opened = try fixture.open()
      let shard = opened.shard

      // Nothing is appended behind rows that are missing, and the file is left as it was found.
      #expect(opened.writer == nil)
      if !isSealed { #expect(shard.summary.damage.map(\.rows) == [2..<6]) }
      let byteCount = try fixture.bytes(fixture.layout().embeddings).count
      #expect(byteCount == fixture.geometry.offset(ofRow: 4))
      #expect(throws: Never.self) { try shard.withRows(0..<2) { _ in } }
      // Row 3 is in the file, and its batch is not, so that it cannot be checked.
      #expect(throws: RowDamaged.self) { try shard.withRows(3..<4) { _ in } }
      #expect(throws: RowDamaged.self) { try shard.withRows(5..<6) { _ in } }
    }
  }

  @Test func opensAShardWhereverAFileEndsAndWhateverBitIsFlipped() throws {
    for isSealed in [false, true] {
      let fixture = ShardFixture()
      if isSealed { try fixture.writeSealed([2, 3]) } else { try fixture.writeOpen([2, 3]) }
      let paths = [fixture.layout().embeddings, fixture.layout().log]
      let originals = try paths.map { try fixture.bytes($0) }
      func restore() throws {
        for (path, original) in zip(paths, originals) {
          try fixture.cut(path, to: original.count)
          try fixture.overwrite(path, at: 0, with: original)
        }
      }
      for (path, original) in zip(paths, originals) {
        for position in 0..<original.count {
          try fixture.cut(path, to: position)
          readAll(fixture)
          try restore()
          fixture.flipBit(position * 8 + position % 8, in: path)
          readAll(fixture)
          try restore()
        }
      }
      #expect(readAll(fixture) == 5)
    }
  }

  /// Reads what can be read; rows are lent only when they are right.
  @discardableResult
  private func readAll(_ fixture: ShardFixture) -> Int {
    guard let shard = try? fixture.open().shard else { return 0 }
    var count = 0
    for row in 0..<shard.rowCount {
      let (number, index) = row < 2 ? (1, row) : (2, row - 2)
      let batch = fixture.batch(number, rowCount: number + 1).batch
      let stride = fixture.geometry.rowStride
      try? shard.withRows(row..<(row + 1)) { bytes in
        let expected = batch.rows[(index * stride)..<((index + 1) * stride)]
        if !bytes.elementsEqual(expected) { Issue.record("row \(row) is served and wrong") }
        count += 1
      }
    }
    return count
  }
}
