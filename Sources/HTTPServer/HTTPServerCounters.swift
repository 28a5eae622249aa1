// What the server counts, for metrics. Read from any thread; each number is exact, together they
// are not one moment.

package import Synchronization

package final class HTTPServerCounters: Sendable {
  package let connectionsOpen = Atomic<Int>(0)
  package let connectionsAcceptedTotal = Atomic<Int>(0)
  /// Turned away since all connections allowed were taken.
  package let connectionsRefusedTotal = Atomic<Int>(0)
  package let receivedBytesTotal = Atomic<Int>(0)
  package let sentBytesTotal = Atomic<Int>(0)

  package init() {}
}
