// No false alarm: what is whole is called clean, whatever shape the store has.

import Foundation
import IngestService
import ShardStore
import SystemIO
import TestContent
import Testing

@Suite struct CleanStoreTests {
  static let storeCount = 100

  @Test func findsNothingInStoresOfEveryShape() throws {
    let seed = UInt64.random(in: 0...UInt64(UInt32.max))
    var random = SeededGenerator(seed: seed)
    for number in 0..<Self.storeCount {
      let plan = Self.plan(&random)
      let isKilled = Bool.random(using: &random)
      let store =
        isKilled
        ? try plan.makeKilled(lastCount: Int.random(in: 0...3, using: &random))
        : try plan.makeClosed()

      let found = try StoreVerifier(root: store.root).verify()

      #expect(found.damage == [], "store \(number) of seed \(seed), killed \(isKilled): \(plan)")
      // What a kill leaves to be done is said, and nothing else.
      let notes = isKilled ? found.notes.filter { !$0.contains("seals the shard") } : found.notes
      #expect(notes == [], "store \(number) of seed \(seed), killed \(isKilled): \(plan)")
      let rowCount = plan.collections.flatMap(\.rowCounts).reduce(0, +)
      #expect(found.rowCount == rowCount)
    }
    print("clean stores: \(Self.storeCount), seed \(seed)")
  }

  private static func plan(_ random: inout SeededGenerator) -> StorePlan {
    let names = ["a", "clip", "text.v2", "0-9_z"]
    var plan = StorePlan(
      seed: random.next(), shardByteCount: [512, 4096, 100_000].randomElement(using: &random)!,
      collections: [])
    plan.allocation = [
      AllocationSteps(rowsByteCount: 4096, logByteCount: 1024), AllocationSteps(),
    ].randomElement(using: &random)!
    for name in names.prefix(Int.random(in: 0...4, using: &random)) {
      plan.collections.append(
        CollectionPlan(
          name: name, dimension: [1, 3, 16, 257].randomElement(using: &random)!,
          dtype: [.float32, .float16].randomElement(using: &random)!,
          rowCounts: (0..<Int.random(in: 0...8, using: &random)).map { _ in
            [1, 2, 30, 400].randomElement(using: &random)!
          }))
    }
    return plan
  }
}
