// Counters and histograms of the service, lock-free. Shown by IngestAPI's /metrics and /health.

package import Synchronization
internal import SystemIO

package final class ServiceMetrics: Sendable {
  package let appendedRowCount = Atomic<Int>(0)
  package let appendedBatchCount = Atomic<Int>(0)
  package let appendedByteCount = Atomic<Int>(0)
  package let storageFailureCount = Atomic<Int>(0)
  package let commitDuration = DurationHistogram()

  func recordCommit(_ duration: Duration) { commitDuration.record(duration) }

  func recordAppend(rowCount: Int, byteCount: Int) {
    appendedBatchCount.add(1, ordering: .relaxed)
    appendedRowCount.add(rowCount, ordering: .relaxed)
    appendedByteCount.add(byteCount, ordering: .relaxed)
  }
}

/// Counts durations in buckets that double, from 0.25 ms to 32 s, as Prometheus expects them.
package final class DurationHistogram: Sendable {
  private let state = Mutex(State())

  private struct State {
    var counts = [Int](repeating: 0, count: bucketCount + 1)
    var sum = Duration.zero
  }

  private static let bucketCount = 18
  private static let firstBound = Duration.microseconds(250)

  package init() {}

  package func record(_ duration: Duration) {
    var bucket = 0
    var bound = Self.firstBound
    while bucket < Self.bucketCount, duration > bound {
      bound *= 2
      bucket += 1
    }
    let index = bucket
    state.withLock { state in
      state.counts[index] += 1
      state.sum += duration
    }
  }

  package struct Snapshot: Sendable {
    /// Upper bounds in seconds with the count of everything up to them.
    package let buckets: [(bound: Double, count: Int)]
    package let count: Int
    package let sum: Double
  }

  package var snapshot: Snapshot {
    state.withLock { state in
      var total = 0
      var bound = Self.firstBound
      var buckets: [(bound: Double, count: Int)] = []
      for bucket in 0..<Self.bucketCount {
        total += state.counts[bucket]
        buckets.append((bound.seconds, total))
        bound *= 2
      }
      return Snapshot(
        buckets: buckets, count: total + state.counts[Self.bucketCount], sum: state.sum.seconds)
    }
  }
}
