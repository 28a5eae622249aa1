// Start, drain and stop of the server. One request's way: EventLoop.swift,
// Connection+Reading.swift, RequestHandler.swift, Responder.swift, Connection+Writing.swift.

internal import Dispatch
internal import Foundation
internal import HTTPCore
internal import Synchronization
internal import SystemIO

/// HTTP/1.1 on BSD sockets: requests go to one handler, from event loops with a thread each.
package final class HTTPServer: Sendable {
  private struct Running {
    let port: UInt16
    let mailboxes: [LoopMailbox]
    /// One member per loop thread.
    let threads: DispatchGroup
  }

  package let configuration: HTTPServerConfiguration
  package let counters = HTTPServerCounters()
  private let handler: any RequestHandler
  private let running = Mutex<Running?>(nil)

  package init(configuration: HTTPServerConfiguration, handler: any RequestHandler) {
    self.configuration = configuration
    self.handler = handler
  }

  deinit { stop() }

  /// The port clients connect to; nil unless started.
  package var boundPort: UInt16? { running.withLock { $0?.port } }

  /// Binds, listens, and serves from threads of its own.
  package func start() throws(HTTPServerError) {
    let listener = try ListenerSocket(configuration: configuration)
    let cores = ProcessInfo.processInfo.activeProcessorCount
    let loopCount = max(1, configuration.loopCount ?? min(cores, 4))
    var mailboxes: [LoopMailbox] = []
    var epolls: [Epoll] = []
    for index in 0..<loopCount {
      let (mailbox, epoll) = (try LoopMailbox(), try Epoll())
      try register(mailbox.wakeUp.number, EventLoop.Token.wakeUp, in: epoll)
      if index == 0 { try register(listener.number, EventLoop.Token.listener, in: epoll) }
      mailboxes.append(mailbox)
      epolls.append(epoll)
    }
    let threads = DispatchGroup()
    running.withLock { running in
      precondition(running == nil, "a server is started once")
      running = Running(port: listener.port, mailboxes: mailboxes, threads: threads)
    }
    for (index, epoll) in epolls.enumerated() {
      let setup = LoopSetup(
        index: index, configuration: configuration, handler: handler, counters: counters,
        epoll: epoll, mailboxes: mailboxes)
      start(setup, listener: index == 0 ? listener : nil, threads)
    }
  }

  private func register(
    _ number: Int32, _ token: UInt64, in epoll: Epoll
  ) throws(HTTPServerError) {
    guard epoll.add(number, token: token, reads: true, writes: false) else {
      throw .noResources(operation: "epoll_ctl", errno: errno)
    }
  }

  private func start(_ setup: LoopSetup, listener: ListenerSocket?, _ threads: DispatchGroup) {
    threads.enter()
    let handover = Handover(listener)
    _ = NamedThread("ingot-http-\(setup.index)") {
      EventLoop(setup: setup, listener: handover.take()).run()
      threads.leave()
    }
  }

  /// Stops accepting, lets requests in flight end, closes every connection. Blocks its thread,
  /// which must not be one of the server's.
  ///
  /// - Parameter deadline: How long to wait; nil takes the configured one.
  /// - Returns: false when the deadline passed and connections were cut.
  @discardableResult
  package func drain(deadline: Duration? = nil) -> Bool {
    guard let running = running.withLock({ $0 }) else { return true }
    let nanoseconds = Int((deadline ?? configuration.drainDeadline).nanoseconds)
    let end = DispatchTime.now() + .nanoseconds(nanoseconds)
    if running.threads.wait(timeout: .now()) == .success { return true }
    // First the accepting loop, so that no socket is dealt to a loop that has already left.
    let hasStoppedAccepting = DispatchSemaphore(value: 0)
    running.mailboxes[0].post(.stopAccepting(hasStoppedAccepting))
    _ = hasStoppedAccepting.wait(timeout: end)
    for mailbox in running.mailboxes { mailbox.post(.drain) }
    if running.threads.wait(timeout: end) == .success { return true }
    stop()
    return false
  }

  /// Closes everything at once and waits for the threads.
  package func stop() {
    guard let running = running.withLock({ $0 }) else { return }
    for mailbox in running.mailboxes { mailbox.post(.stop) }
    running.threads.wait()
  }
}

/// Passes a value to one thread without keeping it: the loop's reference is the only one, so that
/// letting go of the listener closes it.
private final class Handover: Sendable {
  private let value: Mutex<ListenerSocket?>

  init(_ value: ListenerSocket?) { self.value = Mutex(value) }

  func take() -> ListenerSocket? {
    value.withLock { value in
      defer { value = nil }
      return value
    }
  }
}
