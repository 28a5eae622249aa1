// Whether a durable write can succeed: known from the last ones that did or did not.

internal import ShardStore
internal import Synchronization
internal import SystemIO

package final class ServiceHealth: Sendable {
  private let state = Mutex(State())

  private struct State {
    var lastDurableWrite: MonotonicTime?
    var lastFailure: String?
    var notes: [String] = []
  }

  package struct Snapshot: Sendable {
    package let secondsSinceDurableWrite: Double?
    /// Set by a failed write or sync, cleared by the next one that is durable.
    package let failure: String?
    /// What start-up found and what an operator should look at.
    package let notes: [String]
  }

  package init() {}

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
        failure: $0.lastFailure, notes: $0.notes)
    }
  }
}

extension IngestService {
  /// One line about what was opened.
  package var startSummary: String {
    let collections = collections
    let shards = collections.reduce(0) { $0 + $1.shards.count }
    let rows = collections.reduce(0) { $0 + $1.rowCount }
    return "store \(layout.root): \(collections.count) collections, \(shards) shards, \(rows) rows"
  }
}
