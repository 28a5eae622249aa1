// Whether a durable write can succeed: known from the last ones that did or did not. Those of nobody: WriteProbe.swift.

internal import ShardStore
internal import Synchronization
internal import SystemIO

package final class ServiceHealth: Sendable {
  private let state = Mutex(State())

  private struct State {
    var lastDurableWrite: MonotonicTime?
    var lastFailure: String?
    var notes: [String] = []
    /// When the writes began that have not ended.
    var running: [Int: MonotonicTime] = [:]
    var nextRun = 0
  }

  package struct Snapshot: Sendable {
    package let secondsSinceDurableWrite: Double?
    /// Set by a failed write or sync, cleared by the next one that is durable.
    package let failure: String?
    /// How long the oldest write or sync has been running that has not ended.
    package let secondsInWrite: Double
    /// What start-up found and what an operator should look at.
    package let notes: [String]
  }

  package init() {}

  /// Runs a write or a sync, which a disk may let wait for any time.
  func whileWriting<Failure: Error>(_ body: () throws(Failure) -> Void) throws(Failure) {
    let began = MonotonicTime.now
    let run = state.withLock { state in
      state.nextRun += 1
      state.running[state.nextRun] = began
      return state.nextRun
    }
    defer { state.withLock { $0.running[run] = nil } }
    try body()
  }

  func recordDurableWrite() {
    let now = MonotonicTime.now
    state.withLock {
      $0.lastDurableWrite = now
      $0.lastFailure = nil
    }
  }

  func recordFailure(_ error: DiskError) {
    let text = "\(error)"
    state.withLock { $0.lastFailure = text }
  }

  func note(_ lines: [String]) { state.withLock { $0.notes += lines } }

  package var snapshot: Snapshot {
    let now = MonotonicTime.now
    return state.withLock {
      Snapshot(
        secondsSinceDurableWrite: $0.lastDurableWrite?.duration(to: now).seconds,
        failure: $0.lastFailure,
        secondsInWrite: $0.running.values.min()?.duration(to: now).seconds ?? 0, notes: $0.notes)
    }
  }
}

extension IngestService {
  /// Asks for a health that is not older than a second the next time.
  package func watchHealth() { probe.ask() }

  /// One line about what was opened.
  package var startSummary: String {
    let collections = collections
    let shards = collections.reduce(0) { $0 + $1.shards.count }
    let rows = collections.reduce(0) { $0 + $1.rowCount }
    return "store \(layout.root): \(collections.count) collections, \(shards) shards, \(rows) rows"
  }
}
