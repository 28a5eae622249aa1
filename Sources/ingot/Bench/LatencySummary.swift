// How long acknowledgements took: the middle, the slowest hundredth, the slowest.

internal import SystemIO

/// In milliseconds.
struct LatencySummary: Encodable, Sendable {
  let p50: Double
  let p99: Double
  let max: Double

  /// - Returns: nil when nothing was measured.
  init?(_ latencies: some Sequence<Duration>) {
    let sorted = latencies.map { $0.seconds * 1000 }.sorted()
    guard let slowest = sorted.last else { return nil }
    p50 = Self.percentile(50, of: sorted)
    p99 = Self.percentile(99, of: sorted)
    max = slowest
  }

  /// Nearest rank: the smallest value that so many percent of all values do not exceed.
  private static func percentile(_ percent: Int, of sorted: [Double]) -> Double {
    sorted[Swift.max(0, (sorted.count * percent + 99) / 100 - 1)]
  }
}

extension [Double] {
  /// The middle value; between the two middle ones of an even count. 0 of nothing.
  var median: Double {
    guard !isEmpty else { return 0 }
    let sorted = sorted()
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
  }
}
