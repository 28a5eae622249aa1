// When a connection has waited long enough. A value: the time comes in with every event.

internal import HTTPCore
internal import SystemIO

struct ConnectionDeadlines {
  enum Phase {
    /// Accepted, no byte seen.
    case opened
    /// Between requests.
    case idle
    case head, body
    /// The handler works, and has all the time it takes.
    case working
    case writing, discarding
  }

  enum Expiry: Equatable {
    /// Nobody waits for an answer.
    case close
    case refuse(HTTPError)
    /// An answer is cut in the middle.
    case abort
  }

  private(set) var phase = Phase.opened
  private var start: MonotonicTime
  private var lastProgress: MonotonicTime
  private var byteCount = 0

  init(at now: MonotonicTime) { (start, lastProgress) = (now, now) }

  mutating func enter(_ phase: Phase, at now: MonotonicTime) {
    self.phase = phase
    (start, lastProgress, byteCount) = (now, now, 0)
  }

  /// Bytes went in the direction that the phase waits for.
  mutating func progress(byteCount: Int, at now: MonotonicTime) {
    lastProgress = now
    self.byteCount += byteCount
  }

  func expiry(at now: MonotonicTime, _ configuration: HTTPServerConfiguration) -> Expiry? {
    let age = start.duration(to: now)
    let silence = lastProgress.duration(to: now)
    return switch phase {
    case .opened: age >= configuration.headDeadline ? .close : nil
    case .idle: age >= configuration.keepAliveDeadline ? .close : nil
    case .head:
      age >= configuration.headDeadline
        ? .refuse(.headTooSlow(deadline: configuration.headDeadline)) : nil
    case .body: bodyExpiry(age: age, silence: silence, configuration)
    case .working: nil
    case .writing: silence >= configuration.writeStallDeadline ? .abort : nil
    case .discarding: age >= configuration.discardDeadline ? .close : nil
    }
  }

  private func bodyExpiry(
    age: Duration, silence: Duration, _ configuration: HTTPServerConfiguration
  ) -> Expiry? {
    if silence >= configuration.bodyIdleDeadline {
      return .refuse(.bodyStalled(deadline: configuration.bodyIdleDeadline))
    }
    let rateMin = configuration.bodyBytesPerSecondMin
    if age >= configuration.bodyRateGrace, Double(byteCount) < Double(rateMin) * age.seconds {
      return .refuse(.bodyTooSlow(bytesPerSecondMin: rateMin))
    }
    return nil
  }
}
