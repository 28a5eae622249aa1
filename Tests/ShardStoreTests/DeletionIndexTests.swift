// Rows and deletions of an id in one shard: the newest record says what holds, in every form of the index.

import SystemIO
import TestContent
import Testing

@testable import ShardStore

@Suite struct DeletionIndexTests {
  @Test func deletionsComeBehindTheRowsThatTheyReachAndBeforeTheNext() {
    let hash: UInt64 = 9
    func row(_ row: Int) -> IDIndexEntry { IDIndexEntry(hash: hash, row: row, idOffset: 0) }
    func deletion(_ row: Int) -> IDIndexEntry {
      IDIndexEntry(hash: hash, row: row, isDeletion: true, idOffset: 0)
    }
    let inOrder = [deletion(0), row(0), deletion(1), row(1), row(2), deletion(3), row(1 << 30)]

    for (first, left) in inOrder.enumerated() {
      for (second, right) in inOrder.enumerated() { #expect((left < right) == (first < second)) }
      #expect(left.row == [0, 0, 1, 1, 2, 3, 1 << 30][first])
      #expect(left.isDeletion == [0, 2, 5].contains(first))
    }
    #expect(deletion(.max & 0x7FFF_FFFF).row == 0x7FFF_FFFF)
    #expect(IDIndexEntry(hash: 1, row: 99, idOffset: 0) < deletion(0))
  }

  /// Few hashes for many ids, so that most ids share theirs with others.
  @Test(arguments: 0..<20) func everyFormOfTheIndexAgreesWithAModel(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var bytes: [UInt8] = []
    var index = OpenIDIndex()
    var model: [UInt8: (row: Int, isDeletion: Bool)] = [:]
    var rowCount = 0
    for _ in 0..<Int.random(in: 1...400, using: &random) {
      let id = UInt8.random(in: 0..<40, using: &random)
      let isDeletion = Int.random(in: 0..<3, using: &random) == 0
      index.append(
        IDIndexEntry(
          hash: UInt64(id % 7), row: rowCount, isDeletion: isDeletion, idOffset: bytes.count))
      bytes += [1, 0, id]
      model[id] = (rowCount, isDeletion)
      if !isDeletion { rowCount += 1 }
      if Int.random(in: 0..<20, using: &random) == 0 { _ = index.candidates(3) }
    }
    let fixture = ShardFixture()
    let sealed = SealedIDIndex(index.sortedEntries(), identity: fixture.identity(0))
    let log = BytesInMemory(bytes: bytes)
    let sorted = [
      SortedIDs(index.sortedEntries(), ids: log, idsEnd: bytes.count),
      SortedIDs(sealed, ids: log, idsEnd: bytes.count, lastSequence: 0),
    ]

    for id in UInt8(0)..<41 {
      let hash = UInt64(id % 7)
      let isSame = { (entry: IDIndexEntry) in bytes[Int(entry.idOffset) + 2] == id }
      let found =
        [index.candidates(hash).first(where: isSame), sealed.candidates(hash).first(where: isSame)]
        + sorted.map { $0.newest(ofID: [id], hash: hash) }
      for entry in found {
        #expect(entry?.row == model[id]?.row && entry?.isDeletion == model[id]?.isDeletion)
      }
    }
    #expect(sorted.map(\.count) == [index.sortedEntries().count, sealed.count])
  }
}
