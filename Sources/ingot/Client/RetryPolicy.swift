// When a request is sent again, and how long to wait before. A value; the waiting is in ServerClient.swift.

/// Waits that double from try to try, within a limit for all of them together.
struct RetryPolicy: Sendable {
  /// All waits of one request together; zero sends each request once.
  var patience: Duration
  var firstDelay = Duration.milliseconds(250)
  var delayMax = Duration.seconds(15)

  static let once = RetryPolicy(patience: .zero)
  static let standard = RetryPolicy(patience: .seconds(300))

  /// - Parameters:
  ///   - failureCount: How often the request has failed, from 1.
  ///   - waited: All waits before.
  ///   - asked: What the server asked for; honored within the patience.
  /// - Returns: nil when it is time to give up.
  func delay(failureCount: Int, waited: Duration, asked: Duration?) -> Duration? {
    guard waited < patience else { return nil }
    let doubled = firstDelay * (1 << min(max(failureCount - 1, 0), 20))
    let wanted = max(min(doubled, delayMax), asked ?? .zero)
    return min(wanted, patience - waited)
  }
}
