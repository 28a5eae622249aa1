// One thread and its connections: wait, handle, answer, look at deadlines.

internal import Foundation
internal import HTTPCore
internal import Synchronization
internal import SystemIO

/// What a loop is made from; crosses to its thread. Mailbox and listener are known to the epoll
/// already.
struct LoopSetup: Sendable {
  let index: Int
  let configuration: HTTPServerConfiguration
  let handler: any RequestHandler
  let counters: HTTPServerCounters
  let epoll: Epoll
  /// Of every loop, this one's at `index`.
  let mailboxes: [LoopMailbox]
}

/// Made, run and dropped on its own thread.
final class EventLoop {
  enum Token {
    static let wakeUp: UInt64 = 0
    static let listener: UInt64 = 1
    static let firstConnection: UInt64 = 2
  }

  let context: LoopContext
  /// Of every loop; the accepting one deals to them in turn.
  let mailboxes: [LoopMailbox]
  var listener: ListenerSocket?
  var nextMailboxIndex = 0
  /// While the process has no descriptor left, nothing is accepted.
  var acceptsAgainAt: MonotonicTime?
  private var connections: [UInt64: Connection] = [:]
  /// Had an event in this turn.
  private var touchedTokens: [UInt64] = []
  private var nextToken = Token.firstConnection
  private var nextScan: MonotonicTime
  private let scanInterval: Duration
  private var isDraining = false
  private var isStopped = false

  init(setup: LoopSetup, listener: ListenerSocket?) {
    context = LoopContext(
      configuration: setup.configuration, handler: setup.handler, counters: setup.counters,
      mailbox: setup.mailboxes[setup.index], epoll: setup.epoll)
    mailboxes = setup.mailboxes
    self.listener = listener
    scanInterval = setup.configuration.scanInterval
    nextScan = context.now.advanced(by: scanInterval)
  }

  /// Runs until stopped, or until drained and the last connection is closed.
  func run() {
    context.mailbox.belongsToThisThread()
    var ready: [Readiness] = []
    while !isStopped, !(isDraining && connections.isEmpty) {
      context.epoll.wait(timeout: timeout(at: .now), into: &ready)
      context.now = .now
      for readiness in ready { handle(readiness) }
      // One round only: answers to what these messages start wait for the next turn.
      for message in context.mailbox.takeAll() { handle(message) }
      if let moment = acceptsAgainAt, context.now >= moment { resumeAccepting() }
      if context.now >= nextScan { scanDeadlines() }
      updateInterests()
    }
    connections = [:]
    listener = nil
  }

  private func timeout(at now: MonotonicTime) -> Duration? {
    if !context.mailbox.isEmpty { return .zero }
    var next: MonotonicTime? = connections.isEmpty ? nil : nextScan
    if let moment = acceptsAgainAt { next = min(moment, next ?? moment) }
    return next.map { max(.zero, now.duration(to: $0)) }
  }

  private func handle(_ readiness: Readiness) {
    switch readiness.token {
    case Token.wakeUp: context.mailbox.acknowledgeWakeUp()
    case Token.listener: acceptWaiting()
    case let token: with(token) { $0.handle(readiness) }
    }
  }

  private func handle(_ message: LoopMessage) {
    switch message {
    case .adopt(let socket): adopt(socket)
    case .respond(let address, let response):
      with(address.connection) { $0.respond(exchange: address.exchange, response) }
    case .resumeBody(let address):
      with(address.connection) { $0.resumeBody(exchange: address.exchange) }
    case .forsake(let address):
      with(address.connection) { $0.forsake(exchange: address.exchange) }
    case .stopAccepting(let signal):
      stopAccepting()
      signal.signal()
    case .drain:
      isDraining = true
      for token in Array(connections.keys) { with(token) { $0.drain() } }
    case .stop: isStopped = true
    }
  }

  private func adopt(_ socket: AcceptedSocket) {
    let token = nextToken
    nextToken += 1
    connections[token] = Connection(token: token, socket: socket, context: context)
    with(token) { connection in
      connection.open()
      if isDraining { connection.drain() }
    }
  }

  /// Lets a connection handle an event, if it is still there, and sees to what follows from it.
  private func with(_ token: UInt64, _ body: (Connection) -> Void) {
    guard let connection = connections[token] else { return }
    body(connection)
    if connection.isClosed {
      connections[token] = nil
    } else {
      touchedTokens.append(token)
    }
  }

  /// Once per turn: an exchange that began and ended in it wants the same as before and costs no
  /// call.
  private func updateInterests() {
    for token in touchedTokens { connections[token]?.updateInterest() }
    touchedTokens.removeAll(keepingCapacity: true)
  }

  private func scanDeadlines() {
    nextScan = context.now.advanced(by: scanInterval)
    for token in Array(connections.keys) { with(token) { $0.checkDeadlines() } }
  }
}
