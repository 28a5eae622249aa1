// The first loop accepts for all and deals the sockets out in turn: four connections on two loops
// are two each, which the kernel's own choice (SO_REUSEPORT, EPOLLEXCLUSIVE) does not promise.

internal import Foundation
internal import Synchronization
internal import SystemIO

extension EventLoop {
  /// Sockets taken per turn.
  private static let acceptCountMax = 64
  /// Connections beyond the limit that are answered 503; those beyond these are just closed.
  private static let refusedCountMax = 64
  private static let acceptPause = Duration.milliseconds(100)

  func acceptWaiting() {
    guard let listener else { return }
    for _ in 0..<Self.acceptCountMax {
      switch listener.accept() {
      case .socket(let descriptor): deal(descriptor)
      case .nothingWaiting: return
      case .noDescriptorLeft:
        // The listener stays ready, so without a pause the loop would spin.
        context.epoll.remove(listener.number)
        acceptsAgainAt = context.now.advanced(by: Self.acceptPause)
        return
      }
    }
  }

  private func deal(_ descriptor: consuming Descriptor) {
    let counters = context.counters
    let openCount = counters.connectionsOpen.load(ordering: .relaxed) + 1
    let connectionCountMax = context.configuration.connectionCountMax
    counters.connectionsAcceptedTotal.add(1, ordering: .relaxed)
    let isRefused = openCount > connectionCountMax
    if isRefused {
      counters.connectionsRefusedTotal.add(1, ordering: .relaxed)
      if openCount > connectionCountMax + Self.refusedCountMax { return }
    }
    counters.connectionsOpen.add(1, ordering: .relaxed)
    mailboxes[nextMailboxIndex].post(
      .adopt(AcceptedSocket(descriptor: descriptor, isRefused: isRefused)))
    nextMailboxIndex = (nextMailboxIndex + 1) % mailboxes.count
  }

  func resumeAccepting() {
    acceptsAgainAt = nil
    guard let listener else { return }
    let isAdded = context.epoll.add(
      listener.number, token: Token.listener, reads: true, writes: false)
    // What is short may be short again.
    if !isAdded { acceptsAgainAt = context.now.advanced(by: Self.acceptPause) }
  }

  func stopAccepting() {
    acceptsAgainAt = nil
    // Closing it takes it out of epoll.
    listener = nil
  }
}
