// SIGINT and SIGTERM for a command that writes files: it ends, and what is not complete goes away. Used by `ingot
// export`, `ingot salvage` and `ingot reconcile`.

import ArgumentParser
import Foundation
import Salvage
import SystemIO

/// Has to be made before any thread is started.
final class Interruption: Sendable {
  private struct State {
    var signal: String?
    /// Files and folders that have no final name yet.
    var partialPaths: [String] = []
  }

  private let state = Monitor(State())

  /// How long the command may take to see a signal by itself: it may be waiting for a server.
  private static let grace = 1.0

  init() {
    let signals = StopSignals()
    _ = NamedThread("ingot-signals") { [state] in
      let signal = signals.wait()
      state.change { $0.signal = signal }
      Thread.sleep(forTimeInterval: Self.grace)
      state.withLock { state in
        for path in state.partialPaths { try? FileManager.default.removeItem(atPath: path) }
        StandardError.write(line: "ingot: \(Self.text(signal))")
        _exit(ExitCode.interrupted.rawValue)
      }
    }
  }

  private static func text(_ signal: String) -> String { "stopped by \(signal)" }

  var isWanted: Bool { state.withLock { $0.signal != nil } }

  /// - Throws: when a signal came: the command unwinds, and removes what it began.
  func check() throws(Failure) {
    if let signal = state.withLock({ $0.signal }) {
      throw Failure(Self.text(signal), code: .interrupted)
    }
  }

  /// From now on a signal removes this path.
  func begin(_ partialPath: String) { state.withLock { $0.partialPaths.append(partialPath) } }

  /// It has its name, or is gone.
  func end(_ partialPath: String) {
    state.withLock { state in state.partialPaths.removeAll { $0 == partialPath } }
  }
}

extension NewFile {
  /// One that a signal removes.
  convenience init(
    _ path: String, replaces: Bool, _ interruption: Interruption
  ) throws(DiskError) {
    try self.init(path, replaces: replaces)
    interruption.begin(partialPath)
  }

  func publish(_ interruption: Interruption) throws(DiskError) {
    try publish()
    interruption.end(partialPath)
  }
}
