// Promise P4 where every checksum is right by itself: what is in a wrong place, or does not agree with what it stands
// beside, is damage all the same.

import DiskSimulation
import SystemIO
import Testing

@testable import ShardStore

@Suite struct RightChecksumTests {
  static let others = [
    ShardIdentity(
      store: ShardFixture.collectionUUID, collection: ShardFixture.collectionUUID, number: 0),
    ShardIdentity(store: ShardFixture.store, collection: ShardFixture.store, number: 0),
    ShardIdentity(
      store: ShardFixture.store, collection: ShardFixture.collectionUUID, number: 1),
  ]

  @Test(arguments: others)
  func refusesARecordOfAnotherShard(other: ShardIdentity) throws {
    let identity = ShardFixture().identity(0)
    let record = CommitRecord(
      kind: .deletion, sequence: 1, rows: 0..<0, rowsCRC32C: 0, committedAt: 7,
      contentDigest: Digest128(high: 1, low: 2), bodySHA256: nil, batchID: "b", origin: nil)
    var out = ByteWriter()
    out.append(record.encoded(identity: other, payload: []).bytes)
    let checksum = out.bytes.withUnsafeBytes {
      CommitRecord.checksum(ofRecord: $0, seed: identity.seed)
    }
    out.set(checksum, at: CommitRecord.Layout.recordCRC32C)

    #expect(throws: CommitRecord.Problem.identity) {
      try out.bytes.withUnsafeBytes { try CommitRecord.decode($0, identity: identity) }
    }
  }

  /// Both logs are right, up to the first record of one of them before the second of the other.
  @Test(arguments: [true, false])
  func namesTheRowsOfARecordThatFollowsAnotherOne(isSealed: Bool) throws {
    let fixture = ShardFixture()
    let other = ShardFixture()
    let writer = try other.write([])
    for number in [1, 2] {
      let batch = other.batch(number, rowCount: 2)
      _ = try writer.write([
        BatchToWrite(
          batch: batch.batch, batchID: batch.batchID, sequence: number,
          committedAt: batch.committedAt + 1, idHashes: batch.idHashes)
      ])
    }
    if isSealed { try fixture.writeSealed([2, 2, 1]) } else { try fixture.writeOpen([2, 2, 1]) }
    let offsets = try fixture.recordOffsets()
    let record = offsets[1]..<offsets[2]
    let otherLog = try other.bytes(other.collection.newShard(0).log)
    #expect(Array(otherLog[record]) != Array(try fixture.bytes(fixture.layout().log)[record]))

    try fixture.overwrite(
      fixture.layout().log, at: record.lowerBound, with: Array(otherLog[record]))

    #expect(fixture.verify().damage.map(\.rows) == [2..<4])
    if !isSealed { #expect(try fixture.open().shard.summary.damage.map(\.rows) == [2..<4]) }
  }

  /// Nothing else says whether those rows are right.
  @Test func namesTheBlockOfWrongRowsWhoseRecordIsDamagedToo() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([2, 3, 2])
    fixture.flipBit((try fixture.recordOffsets()[1] + 80) * 8, in: fixture.layout().log)
    fixture.damageRow(3)

    let found = fixture.verify().damage

    #expect(found.allSatisfy { $0.rows == 2..<5 })
    #expect(found.contains { $0.reason == "block 0 of embeddings.npy has a wrong checksum" })
  }

  /// A block that lies in one batch, one that does not, and the file.
  @Test func findsASealTableThatDoesNotFitTheRows() throws {
    let fixture = ShardFixture(dimension: 4096, steps: AllocationSteps(rowsByteCount: 1 << 20))
    try fixture.writeSealed([12, 1])

    for (block, file, reason) in [
      (1, 0, "block 1 of embeddings.npy has a wrong checksum"),
      (3, 0, "block 3 of embeddings.npy has a wrong checksum"),
      (nil, 1, "embeddings.npy: CRC32C is"),
    ] as [(Int?, UInt32, String)] {
      func change(_ table: SealTable) -> SealTable {
        SealTable(
          fileByteCount: table.fileByteCount, fileCRC32C: table.fileCRC32C ^ file,
          blockCRC32Cs: table.blockCRC32Cs.enumerated().map { $0 == block ? $1 ^ 1 : $1 })
      }
      try fixture.rewriteSeal(change)

      let found = fixture.verify().damage

      #expect(found.count == 1 && found[0].reason.hasPrefix(reason), "\(found)")
      // Changed twice is as it was.
      try fixture.rewriteSeal(change)
      #expect(fixture.verify().damage == [])
    }
  }

  @Test func findsASealThatFollowsAnotherBatch() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([2, 3])

    try fixture.rewriteSeal({ $0 }, chain: { $0 ^ 1 })

    #expect(
      fixture.verify().damage.map(\.reason) == ["the seal record does not follow the last batch"])
  }

  @Test func takesNoIndexOfWhichAnyBitIsFlipped() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([2, 3])
    let path = fixture.layout().index
    func index() -> SealedIDIndex? {
      SealedIDIndex(path, disk: fixture.disk, identity: fixture.identity(0))
    }
    #expect(index()?.count == 5)

    for bit in 0..<(try fixture.bytes(path).count * 8) {
      fixture.flipBit(bit, in: path)
      if index() != nil { Issue.record("an index of which bit \(bit) is flipped is taken") }
      fixture.flipBit(bit, in: path)
    }

    #expect(index()?.count == 5)
  }
}

extension ShardFixture {
  /// Writes another seal record, whose checksum is right.
  fileprivate func rewriteSeal(
    _ change: (SealTable) -> SealTable, chain: (UInt32) -> UInt32 = { $0 }
  ) throws {
    let path = layout().log
    let log = try bytes(path)
    let offset = try #require(try recordOffsets().last)
    let (seal, payload) = try log[offset...].withUnsafeBytes { bytes in
      let record = try CommitRecord.decode(bytes, identity: identity(0))
      return (record, Array(bytes[record.payloadOffset...].prefix(record.contentByteCount)))
    }
    let table = change(try #require(SealTable(payload: payload)))
    let changed = CommitRecord.seal(
      rowCount: seal.rowCount, lastSequence: seal.sequence, chain: chain(seal.previousCRC32C),
      table: table
    ).encoded(
      identity: identity(0),
      payload: table.encoded(recordOverheadByteCount: CommitRecord.Layout.batchID))
    #expect(changed.bytes.count == log.count - offset)
    try overwrite(path, at: offset, with: changed.bytes)
  }
}
