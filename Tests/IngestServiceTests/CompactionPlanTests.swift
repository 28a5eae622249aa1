// Which shards are written anew, and which of them together.

import TestContent
import Testing

@testable import IngestService

@Suite struct CompactionPlanTests {
  private let rules = CompactionPlan.Rules(
    deadPercent: 30, rowCapacity: 100, logByteCountMax: 1000)

  /// Shards 0, 1, … with so many rows and live rows.
  private func groups(
    _ shards: [(rows: Int, live: Int)], logs: [Int] = [], closed: Set<Int> = [],
    deadPercent: Int = 30
  ) -> [[Int]] {
    var rules = rules
    rules.deadPercent = deadPercent
    let candidates = shards.enumerated().map { number, shard in
      CompactionPlan.Candidate(
        number: number, rowCount: shard.rows, liveRowCount: shard.live,
        logByteCount: logs.isEmpty ? 1 : logs[number], isCompactable: !closed.contains(number))
    }
    return CompactionPlan(candidates, rules: rules).groups
  }

  @Test func writesAShardAnewFromTheConfiguredShareOnAndNotBefore() {
    #expect(groups([(100, 71)]) == [])
    #expect(groups([(100, 70)]) == [[0]])
    #expect(groups([(100, 100)], deadPercent: 0) == [])
    #expect(groups([(100, 99)], deadPercent: 0) == [[0]])
    #expect(groups([(100, 0)], deadPercent: 100) == [[0]])
    #expect(groups([(0, 0)], deadPercent: 0) == [])
  }

  @Test func putsSmallShardsTogetherUpToAFullOne() {
    #expect(groups([(40, 40), (40, 40), (40, 40)]) == [[0, 1]])
    #expect(groups([(50, 50), (50, 50), (50, 50), (50, 50)]) == [[0, 1], [2, 3]])
    #expect(groups([(51, 51), (51, 51)]) == [])
    #expect(groups([(20, 20)]) == [])
    #expect(groups([(100, 50), (20, 20), (100, 60), (100, 40)]) == [[0, 1], [2, 3]])
  }

  @Test func putsNothingTogetherAcrossAShardThatStays() {
    #expect(groups([(20, 20), (100, 100), (20, 20)]) == [])
    #expect(groups([(20, 20), (20, 20), (20, 20)], closed: [1]) == [])
    #expect(groups([(100, 10), (100, 10), (100, 10)], closed: [1]) == [[0], [2]])
  }

  @Test func keepsALogWithinItsLimitThoughNoRowIsLeft() {
    #expect(groups([(100, 0), (100, 0), (100, 0)], logs: [500, 500, 1]) == [[0, 1], [2]])
    #expect(groups([(10, 10), (10, 10)], logs: [600, 600]) == [])
  }

  @Test(arguments: 0..<200) func groupsFitAndAreInOrder(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let shards = (0..<20).map { _ -> (rows: Int, live: Int) in
      let rows = Int.random(in: 0...100, using: &random)
      return (rows, Int.random(in: 0...rows, using: &random))
    }
    let closed = Set((0..<20).filter { _ in Int.random(in: 0..<5, using: &random) == 0 })

    let groups = groups(shards, closed: closed)

    let all = groups.flatMap(\.self)
    #expect(all == all.sorted() && Set(all).count == all.count)
    for group in groups {
      #expect(group.reduce(0) { $0 + shards[$1].live } <= 100)
      #expect(closed.isDisjoint(with: group))
      #expect(group == Array(group[0]...group[group.count - 1]))
    }
  }
}
