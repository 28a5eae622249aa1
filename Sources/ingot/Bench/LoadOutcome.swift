// What came of some load: when each batch was acknowledged, how long that took, and what went wrong.

internal import SystemIO

struct LoadOutcome: Sendable {
  struct Acknowledgement: Sendable {
    /// Since the start of the measurement.
    var time: Duration
    var latency: Duration
  }

  private(set) var acknowledgements: [Acknowledgement] = []
  /// Answers other than 201 and broken connections, by name.
  private(set) var failureCounts: [String: Int] = [:]
  /// Those among them that admission refused.
  private(set) var refusalCount = 0
  /// How long there was load.
  private(set) var elapsed = Duration.zero

  var batchCount: Int { acknowledgements.count }
  var failureCount: Int { failureCounts.values.reduce(0, +) }
  var secondsPerBatch: Double { elapsed.seconds / Double(batchCount) }

  mutating func count(
    _ answer: BatchAnswer, sent: MonotonicTime, answered: MonotonicTime, since start: MonotonicTime
  ) {
    elapsed = max(elapsed, start.duration(to: answered))
    guard answer == .acknowledged else { return count(answer) }
    acknowledgements.append(
      Acknowledgement(time: start.duration(to: answered), latency: sent.duration(to: answered)))
  }

  mutating func count(_ answer: BatchAnswer) {
    switch answer {
    case .acknowledged: break
    case .other(let name, let isRefusal):
      failureCounts[name, default: 0] += 1
      if isRefusal { refusalCount += 1 }
    case .broken(let reason): failureCounts[reason, default: 0] += 1
    }
  }

  /// Adds what another worker did in the same time.
  mutating func merge(_ other: LoadOutcome) {
    add(other, delayedBy: .zero)
    elapsed = max(elapsed, other.elapsed)
  }

  /// Adds what happened afterwards.
  mutating func append(_ later: LoadOutcome) {
    add(later, delayedBy: elapsed)
    elapsed += later.elapsed
  }

  private mutating func add(_ other: LoadOutcome, delayedBy delay: Duration) {
    acknowledgements += other.acknowledgements.map {
      Acknowledgement(time: delay + $0.time, latency: $0.latency)
    }
    failureCounts.merge(other.failureCounts, uniquingKeysWith: +)
    refusalCount += other.refusalCount
  }

  /// The time per batch of the whole server, from `start` to `end` of the measurement, both from 0 to 1.
  func secondsPerBatch(from start: Double, to end: Double) -> Double? {
    let (first, last) = (elapsed * start, elapsed * end)
    let count = acknowledgements.count { first < $0.time && $0.time <= last }
    return count == 0 ? nil : (last - first).seconds / Double(count)
  }
}
