// How many requests were answered with what, and how long they took.

internal import IngestService
internal import Synchronization

final class RequestMetrics: Sendable {
  private let counts = Mutex<[Int: Int]>([:])
  let duration = DurationHistogram()

  func record(status: Int, duration: Duration) {
    counts.withLock { $0[status, default: 0] += 1 }
    self.duration.record(duration)
  }

  /// Answers by status, the smallest first.
  var answers: [(status: Int, count: Int)] {
    counts.withLock { $0.sorted { $0.key < $1.key }.map { (status: $0.key, count: $0.value) } }
  }
}
