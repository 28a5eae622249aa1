// When a connection has waited long enough, on a clock that is set by hand. The value:
// Sources/HTTPServer/ConnectionDeadlines.swift.

import HTTPCore
import SystemIO
import Testing

@testable import HTTPServer

@Suite struct ConnectionDeadlinesTests {
  private static let start = MonotonicTime(nanoseconds: 1_000_000_000_000)

  private let configuration = HTTPServerConfiguration.with {
    $0.headDeadline = .seconds(10)
    $0.bodyIdleDeadline = .seconds(20)
    $0.bodyRateGrace = .seconds(30)
    $0.bodyBytesPerSecondMin = 100
    $0.keepAliveDeadline = .seconds(40)
    $0.writeStallDeadline = .seconds(50)
    $0.discardDeadline = .seconds(2)
  }

  private func moment(_ seconds: Int) -> MonotonicTime {
    Self.start.advanced(by: .seconds(seconds))
  }

  private func beginning(_ phase: ConnectionDeadlines.Phase) -> ConnectionDeadlines {
    var deadlines = ConnectionDeadlines(at: Self.start)
    deadlines.enter(phase, at: Self.start)
    return deadlines
  }

  private func expiry(
    of deadlines: ConnectionDeadlines, after seconds: Int
  ) -> ConnectionDeadlines.Expiry? {
    deadlines.expiry(at: moment(seconds), configuration)
  }

  /// Phase, its deadline in seconds, and what follows. The phase opened is that of a new value.
  static let silences: [(ConnectionDeadlines.Phase, Int, ConnectionDeadlines.Expiry)] = [
    (.opened, 10, .close),
    (.idle, 40, .close),
    (.head, 10, .refuse(.headTooSlow(deadline: .seconds(10)))),
    (.body, 20, .refuse(.bodyStalled(deadline: .seconds(20)))),
    (.writing, 50, .abort),
    (.discarding, 2, .close),
  ]

  @Test(arguments: silences) func expiresWhenItsDeadlineIsReachedInSilence(
    _ phase: ConnectionDeadlines.Phase, deadline: Int, expected: ConnectionDeadlines.Expiry
  ) {
    let deadlines = beginning(phase)

    #expect(expiry(of: deadlines, after: deadline - 1) == nil)
    #expect(expiry(of: deadlines, after: deadline) == expected)
  }

  @Test func waitsForTheFirstByteFromTheStart() {
    #expect(ConnectionDeadlines(at: Self.start).phase == .opened)
  }

  @Test func givesTheHandlerAllTheTimeItTakes() {
    #expect(expiry(of: beginning(.working), after: 1_000_000) == nil)
  }

  @Test(arguments: [ConnectionDeadlines.Phase.head, .discarding])
  func takesNoProgressForAnExcuse(_ phase: ConnectionDeadlines.Phase) {
    var deadlines = beginning(phase)

    for second in 0..<10 { deadlines.progress(byteCount: 1 << 20, at: moment(second)) }

    #expect(expiry(of: deadlines, after: 10) != nil)
  }

  @Test func countsSilenceOfAResponseFromItsLastProgress() {
    var deadlines = beginning(.writing)

    for second in stride(from: 0, through: 490, by: 49) {
      #expect(expiry(of: deadlines, after: second) == nil)
      deadlines.progress(byteCount: 1, at: moment(second))
    }

    #expect(expiry(of: deadlines, after: 539) == nil)
    #expect(expiry(of: deadlines, after: 540) == .abort)
  }

  @Test func countsSilenceOfABodyFromItsLastProgress() {
    var deadlines = beginning(.body)

    deadlines.progress(byteCount: 1 << 20, at: moment(19))

    #expect(expiry(of: deadlines, after: 38) == nil)
    #expect(expiry(of: deadlines, after: 39) == .refuse(.bodyStalled(deadline: .seconds(20))))
  }

  @Test func judgesTheRateOfABodyOnlyAfterTheGrace() {
    var (slow, fast) = (beginning(.body), beginning(.body))

    slow.progress(byteCount: 2999, at: moment(29))
    fast.progress(byteCount: 3000, at: moment(29))

    #expect(expiry(of: slow, after: 29) == nil)
    #expect(expiry(of: slow, after: 30) == .refuse(.bodyTooSlow(bytesPerSecondMin: 100)))
    #expect(expiry(of: fast, after: 30) == nil)
    #expect(expiry(of: fast, after: 31) == .refuse(.bodyTooSlow(bytesPerSecondMin: 100)))
  }

  @Test func startsAnewWithEveryPhase() {
    var deadlines = beginning(.head)

    deadlines.progress(byteCount: 1 << 20, at: moment(5))
    deadlines.enter(.body, at: moment(9))

    #expect(expiry(of: deadlines, after: 28) == nil)
    #expect(expiry(of: deadlines, after: 29) == .refuse(.bodyStalled(deadline: .seconds(20))))
    deadlines.progress(byteCount: 2999, at: moment(28))
    #expect(expiry(of: deadlines, after: 39) == .refuse(.bodyTooSlow(bytesPerSecondMin: 100)))
  }
}
