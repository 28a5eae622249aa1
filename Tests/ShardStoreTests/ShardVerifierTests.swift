// Promise P4: a change of any bit in any file is noticed; P5: what is torn is not called damaged.

import DiskSimulation
import Glibc
import ShardStore
import Synchronization
import SystemIO
import Testing

@Suite struct ShardVerifierTests {
  @Test func findsNothingInAnOpenAndASealedShard() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([3, 2])
    try fixture.writeOpen([4], number: 1, firstSequence: 3)

    let (sealed, open) = (fixture.verify(0), fixture.verify(1))

    #expect(sealed.damage == [] && sealed.notes == [])
    #expect(sealed.isSealed && sealed.rowCount == 5 && sealed.batchCount == 2)
    #expect(sealed.firstSequence == 1 && sealed.lastSequence == 2)
    #expect(open.damage == [] && open.notes == [])
    #expect(!open.isSealed && open.rowCount == 4)
  }

  @Test func reportsEveryFlippedBitOfASealedShard() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([2, 3])
    let layout = fixture.layout()

    var count = 0
    for path in [layout.embeddings, layout.log, layout.index] {
      for bit in 0..<(try fixture.bytes(path).count * 8) {
        fixture.flipBit(bit, in: path)
        if fixture.verify().damage.isEmpty { Issue.record("bit \(bit) of \(path) went unnoticed") }
        fixture.flipBit(bit, in: path)
        count += 1
      }
    }

    print("flipped bits of a sealed shard: \(count)")
    #expect(count > 8000)
    #expect(fixture.verify().damage == [])
  }

  /// The header of an open shard may be behind after a crash, so a smaller count in it is only noted.
  @Test func reportsEveryFlippedBitOfAnOpenShard() throws {
    let fixture = ShardFixture()
    try fixture.writeOpen([3, 3])
    let layout = fixture.layout()

    var (count, notedCount) = (0, 0)
    for path in [layout.embeddings, layout.log] {
      for bit in 0..<(try fixture.bytes(path).count * 8) {
        fixture.flipBit(bit, in: path)
        let found = fixture.verify()
        if found.damage.isEmpty {
          if found.notes.isEmpty { Issue.record("bit \(bit) of \(path) went unnoticed") }
          notedCount += 1
        }
        fixture.flipBit(bit, in: path)
        count += 1
      }
    }

    print("flipped bits of an open shard: \(count), \(notedCount) of them a header that is behind")
    #expect(count > 5000)
    // 6 is 0x36: two of its bits give a smaller digit.
    #expect(notedCount == 2)
  }

  @Test func neverTrapsWhereverAFileEnds() throws {
    for isSealed in [false, true] {
      let whole = ShardFixture()
      if isSealed { try whole.writeSealed([2, 3]) } else { try whole.writeOpen([2, 3]) }
      // Without its seal record a sealed shard is what it was before: open, and whole.
      let logEnd = whole.verify().logEnd
      for path in [whole.layout().embeddings, whole.layout().log] {
        let bytes = try whole.bytes(path)
        for byteCount in 0..<bytes.count {
          try whole.cut(path, to: byteCount)
          let found = whole.verify()
          let isOpenAgain = path == whole.layout().log && byteCount == logEnd
          if found.damage.isEmpty, found.notes.isEmpty, !isOpenAgain {
            Issue.record("\(path) of \(byteCount) bytes went unnoticed")
          }
          try whole.overwrite(path, at: 0, with: bytes)
        }
      }
      #expect(whole.verify().damage == [])
    }
  }

  @Test(arguments: [false, true])
  func namesTheRowsAndIDsOfADamagedBatch(isSealed: Bool) throws {
    let fixture = ShardFixture()
    if isSealed { try fixture.writeSealed([2, 3, 2]) } else { try fixture.writeOpen([2, 3, 2]) }
    fixture.damageRow(3)

    let found = fixture.verify()

    #expect(found.damage.count == 1)
    #expect(found.damage.first?.rows == 2..<5)
    #expect(found.damage.first?.ids == ["2-0", "2-1", "2-2"])
    #expect(found.damage.first?.reason.contains("rows CRC32C is ") == true)
  }

  /// Blocks are larger than batches here and smaller there; neither may blame the neighbours.
  @Test(arguments: [4, 4096, 20_000])
  func blamesOnlyTheDamagedBatchOfABlock(dimension: Int) throws {
    let fixture = ShardFixture(
      dimension: dimension, rowCapacity: 64, steps: AllocationSteps(rowsByteCount: 1 << 20))
    try fixture.writeSealed([1, 2, 1, 3])
    fixture.damageRow(2)

    let found = fixture.verify()

    #expect(found.damage.map(\.rows) == [1..<3])
  }

  @Test func namesTheRowsOfADamagedCommitRecord() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([2, 3, 2])
    fixture.flipBit((try fixture.recordOffsets()[1] + 80) * 8, in: fixture.layout().log)

    let found = fixture.verify()

    #expect(found.damage.map(\.rows) == [2..<5])
    #expect(found.damage.first?.ids == [])
    #expect(found.rowCount == 7)
  }

  @Test func reportsRowsBehindTheEndOfACutFile() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([2, 3, 2])
    try fixture.cut(fixture.layout().embeddings, to: fixture.geometry.offset(ofRow: 4))

    let found = fixture.verify()

    #expect(found.damage.first?.rows == 2..<7)
    #expect(found.damage.first?.ids.count == 5)
  }

  @Test func notesATornTailAndDoesNotCallItDamage() throws {
    let fixture = ShardFixture()
    let writer = try fixture.write([2, 3])
    _ = try writer.write([fixture.batch(3, rowCount: 2)])
    fixture.damageRow(6)

    let found = fixture.verify()

    #expect(found.damage == [])
    #expect(found.rowCount == 5)
    #expect(found.notes.contains { $0.contains("torn tail, will be cut at the next start") })
  }

  @Test func takesAWholeBatchBehindTheWatermarkForCommitted() throws {
    let fixture = ShardFixture()
    let writer = try fixture.write([2])
    _ = try writer.write([fixture.batch(2, rowCount: 3)])

    let found = fixture.verify()

    #expect(found.damage == [])
    #expect(found.rowCount == 5)
    #expect(found.notes.count == 1 && found.notes[0].contains("says 2 rows, expected 5"))
  }

  @Test func reportsAShardInAnotherShardsPlace() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([2])
    try fixture.disk.rename(fixture.layout(0).root, to: fixture.layout(1).root)

    #expect(!fixture.verify(1).damage.isEmpty)
  }

  @Test func notesFilesThatAreNotItsOwnAndAMissingIndex() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([2])
    try fixture.disk.removeFile(fixture.layout().index)
    _ = try fixture.disk.createFile(fixture.layout().root + "/notes.txt")

    let found = fixture.verify()

    #expect(found.damage == [])
    #expect(found.notes.contains { $0.contains("notes.txt") })
    #expect(found.notes.contains { $0.contains("ids.index is missing") })
  }

  @Test func reportsASectorThatCannotBeReadAndGoesOn() throws {
    let fixture = ShardFixture(
      dimension: 1024, rowCapacity: 64, steps: AllocationSteps(rowsByteCount: 1 << 20))
    try fixture.writeSealed([16, 16, 16])
    let path = fixture.layout().embeddings
    // The first read is the header's; then the whole piece, then its blocks one by one.
    let readCount = Mutex(0)
    fixture.disk.setFault { operation, name, _ in
      guard operation == "pread", name == path else { return nil }
      let count = readCount.withLock { count in
        defer { count += 1 }
        return count
      }
      return [1, 3].contains(count) ? EIO : nil
    }

    let found = fixture.verify()
    fixture.disk.setFault(nil)

    #expect(found.damage.count == 1, "\(found.damage)")
    #expect(found.damage.first?.reason.contains("cannot be read") == true)
    #expect(fixture.verify().damage == [])
  }
}
