// SIGINT and SIGTERM as a question that long work asks now and then. Used by commands that end tidily.

import Foundation
import Synchronization
import SystemIO

/// Whether somebody asked the command to stop.
final class StopRequest: Sendable {
  private let flag = Atomic(false)

  /// Takes the signals from here on; the thread that waits for them ends with the process.
  init() {
    let signals = StopSignals()
    _ = NamedThread("ingot-signals") { [self] in
      _ = signals.wait()
      flag.store(true, ordering: .relaxed)
    }
  }

  var isAsked: Bool { flag.load(ordering: .relaxed) }
}
