// SIGTERM and SIGINT as something to wait for.

import Foundation
import SystemIO

/// Takes the stop signals away from all threads that are started from now on.
struct StopSignals {
  private var set = sigset_t()

  init() {
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, SIGTERM)
    unsafe sigaddset(&set, SIGINT)
    unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    // A client that went away and a file size limit are error codes, not the end.
    _ = signal(SIGPIPE, SIG_IGN)
    _ = signal(SIGXFSZ, SIG_IGN)
  }

  /// Waits for the first; further ones stay blocked and do no harm.
  func wait() -> String {
    var copy = set
    var number: Int32 = 0
    unsafe sigwait(&copy, &number)
    return number == SIGINT ? "SIGINT" : "SIGTERM"
  }

  /// Waits for a signal, but not longer than that.
  ///
  /// - Returns: nil when none came.
  func wait(for duration: Duration) -> String? {
    var copy = set
    var time = timespec(
      tv_sec: Int(duration.nanoseconds / 1_000_000_000),
      tv_nsec: Int(duration.nanoseconds % 1_000_000_000))
    let number = unsafe sigtimedwait(&copy, nil, &time)
    return number < 0 ? nil : number == SIGINT ? "SIGINT" : "SIGTERM"
  }
}
