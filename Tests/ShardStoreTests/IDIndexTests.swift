// Finding rows by id while a shard grows and once it is sealed, also when hashes collide.

import DiskSimulation
import Glibc
import SystemIO
import TestContent
import Testing

@testable import ShardStore

@Suite struct IDIndexTests {
  private func open(_ hashes: [UInt64]) -> OpenIDIndex {
    var index = OpenIDIndex()
    for (row, hash) in hashes.enumerated() {
      index.append(IDIndexEntry(hash: hash, row: row, idOffset: row * 10))
    }
    return index
  }

  private func sealed(_ entries: [IDIndexEntry], _ fixture: ShardFixture) throws -> SealedIDIndex? {
    let file = try fixture.disk.createFile("/index")
    try file.write(SealedIDIndex.encoded(entries, identity: fixture.identity(0)), at: 0)
    return SealedIDIndex("/index", disk: fixture.disk, identity: fixture.identity(0))
  }

  @Test func givesTheRowsOfAHashNewestFirst() throws {
    let hashes: [UInt64] = [7, 9, 7, 0, 7, .max, 0]
    var index = open(hashes)
    let sealed = try #require(try sealed(index.sortedEntries(), ShardFixture()))

    for (hash, rows) in [(7, [4, 2, 0]), (9, [1]), (0, [6, 3]), (.max, [5]), (8, [])]
      as [(UInt64, [Int])]
    {
      #expect(index.candidates(hash).map(\.row) == rows)
      #expect(sealed.candidates(hash).map(\.row) == rows)
      #expect(sealed.candidates(hash).map(\.idOffset) == rows.map { UInt32($0 * 10) })
    }
    #expect(sealed.count == 7)
  }

  @Test func findsEveryRowOfManyWhoseLowBitsCollide() throws {
    let hashes = (0..<5000).map { UInt64($0 % 4000) << 32 | UInt64($0 % 3) }
    var index = open(hashes)
    let sealed = try #require(try sealed(index.sortedEntries(), ShardFixture()))

    for (row, hash) in hashes.enumerated() {
      let expected = hashes.indices.filter { hashes[$0] == hash }.reversed().map(\.self)
      if row % 500 == 0 {
        #expect(index.candidates(hash).map(\.row) == expected)
        #expect(sealed.candidates(hash).map(\.row) == expected)
      }
      if !index.candidates(hash).contains(where: { $0.row == row }) {
        Issue.record("row \(row) is not found")
      }
    }
  }

  @Test func putsADeletionBehindTheRowsThatItReachesAndBeforeTheOthers() throws {
    var index = OpenIDIndex()
    index.append(IDIndexEntry(hash: 5, row: 0, idOffset: 0))
    index.append(IDIndexEntry(hash: 5, row: 1, isDeletion: true, idOffset: 10))
    index.append(IDIndexEntry(hash: 5, row: 1, idOffset: 20))
    let sealed = try #require(
      try sealed(index.sortedEntries().shuffled().sortedByHash(), ShardFixture()))

    #expect(index.candidates(5).map(\.isDeletion) == [false, true, false])
    #expect(index.candidates(5).map(\.row) == [1, 1, 0])
    #expect(sealed.candidates(5) == index.candidates(5))
  }

  @Test func comparesIDsWhenHashesAreEqual() throws {
    // A shard that was told that all ids have the same hash.
    let fixture = ShardFixture()
    let real = fixture.batch(1, rowCount: 3)
    let lying = BatchToWrite(
      batch: real.batch, batchID: real.batchID, sequence: 1, committedAt: 0,
      idHashes: [42, 42, 42])
    let writer = try ShardWriter.create(
      fixture.identity(0), geometry: fixture.geometry, firstRowCount: 3, in: fixture.collection,
      disk: fixture.disk, steps: fixture.steps)
    let written = try writer.write([lying])
    try writer.syncRows()
    try writer.syncLog()
    try writer.makeVisible(
      firstBatches: written, in: fixture.collection, disk: fixture.disk)
    try writer.publish(written)

    for phase in ["open", "sealed"] {
      #expect(
        (0..<3).map { writer.shard.newest(ofID: Array("1-\($0)".utf8), hash: 42) }
          == [.row(0), .row(1), .row(2)])
      #expect(writer.shard.newest(ofID: Array("1-3".utf8), hash: 42) == nil)
      if phase == "open" { try writer.shard.seal(in: fixture.collection, disk: fixture.disk) }
    }
  }

  @Test func isMadeAgainWhenItIsLostOrDamaged() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([3, 2])
    let path = fixture.layout().index
    let original = try fixture.bytes(path)
    let id = Array("2-1".utf8)
    let hash = IDList(["2-1"]).hash(0, seed: fixture.identity(0).idHashSeed)

    for damage in ["lost", "cut", "flipped"] {
      switch damage {
      case "lost": try fixture.disk.removeFile(path)
      case "cut": try fixture.cut(path, to: 70)
      default: fixture.flipBit(70 * 8, in: path)
      }

      #expect(try fixture.open().shard.newest(ofID: id, hash: hash) == .row(4), "\(damage)")

      #expect(try fixture.bytes(path) == original, "\(damage)")
    }
  }

  @Test func findsWhatItCanWhenTheIndexCannotBeWrittenOrTheLogIsDamaged() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([3, 2])
    let seed = fixture.identity(0).idHashSeed
    func row(_ id: String) throws -> Shard.Newest? {
      try fixture.open().shard.newest(ofID: Array(id.utf8), hash: IDList([id]).hash(0, seed: seed))
    }

    try fixture.disk.removeFile(fixture.layout().index)
    fixture.disk.setFault { operation, _, _ in operation == "pwrite" ? ENOSPC : nil }
    #expect(try row("1-2") == .row(2))
    fixture.disk.setFault(nil)
    try? fixture.disk.removeFile(fixture.layout().index)
    fixture.flipBit(90 * 8, in: fixture.layout().log)

    #expect(try row("2-1") == .row(4))
    #expect(try row("1-2") == nil)
    #expect(try fixture.disk.kind(of: fixture.layout().index) == nil)
  }

  @Test func refusesTheIndexOfAnotherShard() throws {
    let fixture = ShardFixture()
    let file = try fixture.disk.createFile("/index")
    try file.write(SealedIDIndex.encoded([], identity: fixture.identity(1)), at: 0)

    #expect(SealedIDIndex("/index", disk: fixture.disk, identity: fixture.identity(0)) == nil)
    #expect(SealedIDIndex("/index", disk: fixture.disk, identity: fixture.identity(1)) != nil)
  }
}
