// What the scrub reads next, and when a job has ended. Time is given, nothing sleeps.

import Catalog
import ShardStore
import SystemIO
import Testing

@testable import IngestService

@Suite struct ScrubStateTests {
  private let day = Int64(86_400) * 1_000_000_000
  private let week = Duration.seconds(7 * 86_400)

  private func target(_ shard: Int) -> ScrubTarget { ScrubTarget(collection: "c", shard: shard) }

  private func candidates(_ count: Int, byteCount: Int = 1000) -> [ScrubCandidate] {
    (0..<count).map { ScrubCandidate(target: target($0), byteCount: byteCount) }
  }

  private func record(_ number: Int, startedAt: Int64 = 0, rate: Int? = nil) -> CatalogScrub {
    CatalogScrub(
      number: number, collection: nil, shard: nil, rate: rate, state: .running,
      startedAt: startedAt, endedAt: nil)
  }

  private func next(
    _ state: ScrubState, _ count: Int, rate: Int = 100, now: Int64, byteCount: Int = 1000
  ) -> ScrubState.Work? {
    state.next(candidates(count, byteCount: byteCount), rate: rate, age: week, now: now)
  }

  @Test func readsWhatWasNeverReadFirstAndThenTheOldest() {
    var state = ScrubState()
    state.verifiedAt = [target(0): 5 * day, target(2): 4 * day]

    #expect(next(state, 3, now: 10 * day)?.target == target(1))
    state.verifiedAt[target(1)] = 10 * day
    #expect(next(state, 3, now: 10 * day)?.target == target(2))
    state.verifiedAt[target(2)] = 10 * day
    #expect(next(state, 3, now: 10 * day)?.target == target(0))
    state.verifiedAt[target(0)] = 10 * day
    #expect(next(state, 3, now: 10 * day) == nil)
    #expect(next(state, 0, now: 10 * day) == nil)
  }

  @Test func beginsAfterHalfOfTheAgeAndIsFastEnoughForTheOtherHalf() {
    var state = ScrubState()
    state.verifiedAt = [target(0): 0]
    let half = 7 * day / 2

    #expect(next(state, 1, now: half) == nil)
    let slow = next(state, 1, rate: 100, now: half + 1)
    #expect(slow?.rate == 100 && slow?.job == nil)
    // 302,400 seconds are left for ten times as many bytes.
    #expect(next(state, 1, rate: 3, now: half + 1, byteCount: 3_024_000)?.rate == 10)
  }

  @Test func aClockThatWasSetBackMakesNothingDue() {
    var state = ScrubState()
    state.verifiedAt = [target(0): 20 * day]

    #expect(next(state, 1, now: day) == nil)
    #expect(state.oldestAgeSeconds(candidates(1), now: day) == 0)
    #expect(state.oldestAgeSeconds(candidates(2), now: day) == nil)
    #expect(state.oldestAgeSeconds([], now: day) == nil)
  }

  @Test func urgentShardsComeBeforeJobsAndJobsBeforeTheRest() {
    var state = ScrubState()
    state.add(record(2, rate: 7), candidates(2), now: .now)
    state.add(record(1), candidates(2), now: .now)

    #expect(next(state, 3, now: day)?.job == 1)
    state.urgent[target(2)] = "read"
    let urgent = next(state, 3, now: day)
    #expect(urgent?.target == target(2) && urgent?.cause == "read" && urgent?.rate == nil)
  }

  @Test func aShardThatWasReadIsReadForAllJobs() {
    var state = ScrubState()
    for number in 1...3 { state.add(record(number), candidates(2), now: .now) }
    state.found[target(1)] = [ShardDamage(rows: 3..<8, reason: "x")]
    #expect(state.endJobs(now: 9) == [])

    state.finish(target(0))
    #expect(state.endJobs(now: 9) == [])
    state.finish(target(1))
    let ended = state.endJobs(now: 9)

    #expect(ended.map(\.number) == [1, 2, 3])
    #expect(ended.allSatisfy { $0.state == .done && $0.endedAt == 9 })
    #expect(state.jobs.values.allSatisfy { $0.damagedRowCount == 5 && $0.damagedShardCount == 1 })
    #expect(state.endJobs(now: 10) == [])
  }

  @Test func aJobThatARestartFindsReadsOnlyTheRest() {
    var state = ScrubState()
    state.verifiedAt = [target(0): 200, target(1): 100, target(2): 50]

    state.add(record(1, startedAt: 100), candidates(3), now: .now)

    #expect(state.jobs[1]?.rest == [target(1), target(2)])
    #expect(state.jobs[1]?.checkedByteCount == 1000)
    #expect(state.jobs[1]?.totalByteCount == 3000)
  }

  @Test func aJobWaitsForTheOneBeforeItAndIsTimedFromItsTurn() {
    var state = ScrubState()
    let start = MonotonicTime.now
    for number in 1...3 { state.add(record(number, rate: 100), candidates(2), now: start) }
    #expect((1...3).map { state.turn(before: $0) } == [nil, 1, 1])
    state.jobs[1]?.didRead(byteCount: 500, at: start.advanced(by: .seconds(50)))
    #expect(state.jobs[1]?.remainingSeconds(at: start.advanced(by: .seconds(50))) == 150)

    state.finish(target(0), readFor: 1)
    #expect((1...3).map { state.jobs[$0]?.checkedByteCount } == [500, 1000, 1000])
    state.jobs[1]?.record.state = .stopped
    #expect((1...3).map { state.turn(before: $0) } == [nil, nil, 2])
    #expect(state.jobs[2]?.remainingSeconds(at: start) == nil)
    let turn = start.advanced(by: .seconds(1000))
    state.jobs[2]?.didRead(byteCount: 1, at: turn)
    state.jobs[2]?.didRead(byteCount: 499, at: turn.advanced(by: .seconds(10)))

    #expect(state.jobs[2]?.remainingSeconds(at: turn.advanced(by: .seconds(10))) == 10)
    #expect(state.turn(before: 7) == nil)
  }

  @Test func whatNobodyAskedForMakesWay() {
    var state = ScrubState()
    let work = ScrubState.Work(target: target(0), job: nil, cause: "scrub", rate: 5)
    #expect(state.rate(of: work) == 5)

    state.add(record(4, rate: 900), candidates(1), now: .now)
    #expect(state.rate(of: work) == 900)
    state.urgent[target(1)] = "read"
    #expect(state.rate(of: work) == nil)
    let own = ScrubState.Work(target: target(0), job: 4, cause: "scrub", rate: 900)
    #expect(state.rate(of: own) == 900)
  }

  @Test func aShardThatWasReplacedWasNeverRead() {
    var state = ScrubState()
    state.verifiedAt = [target(0): day, target(1): day]
    state.found = [target(0): [ShardDamage(reason: "x")]]

    state.forget([target(0)])

    #expect(state.verifiedAt == [target(1): day] && state.found.isEmpty)
    #expect(next(state, 2, now: day)?.target == target(0))
  }

  @Test func keepsTheNewestHundredJobsThatHaveEnded() {
    var state = ScrubState()
    for number in 1...250 {
      state.add(record(number), [], now: .now)
      _ = state.endJobs(now: 1)
    }
    #expect(state.jobs.keys.sorted() == Array(150...250))
  }
}
