// Time that only goes forward, for deadlines, durations and histograms; and wall-clock time for receipts.

internal import Glibc

/// A moment on CLOCK_MONOTONIC, in nanoseconds since some fixed point.
package struct MonotonicTime: Comparable, Sendable {
  package var nanoseconds: Int64

  package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  package static var now: MonotonicTime {
    MonotonicTime(nanoseconds: read(CLOCK_MONOTONIC))
  }

  /// Nanoseconds since 1970 by the wall clock, which may jump: for people to read, never to order by.
  package static var wallClockNanoseconds: Int64 { read(CLOCK_REALTIME) }

  package func advanced(by duration: Duration) -> MonotonicTime {
    MonotonicTime(nanoseconds: nanoseconds + duration.nanoseconds)
  }

  package func duration(to later: MonotonicTime) -> Duration {
    .nanoseconds(later.nanoseconds - nanoseconds)
  }

  package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

extension Duration {
  /// The whole duration in nanoseconds; ±292 years fit.
  package var nanoseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
  }

  /// The whole duration in seconds, for metrics and people.
  package var seconds: Double { Double(nanoseconds) / 1e9 }
}
