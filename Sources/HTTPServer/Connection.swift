// One client connection: what its loop tells it, and its end. Decisions:
// HTTPCore/ConnectionState.swift. The rest: Connection+Reading.swift, Connection+Writing.swift.

internal import HTTPCore
internal import Synchronization
internal import SystemIO

/// Confined to the thread of its loop. Gone from the loop once its phase is closed; the descriptor
/// closes with it.
final class Connection {
  /// The request being answered.
  struct Exchange {
    let head: RequestHead
    let start: MonotonicTime
    var incoming: IncomingBody
    var receiver: (any BodyReceiver)?
    /// Kept while the body is read, so that only `finish` or the handler itself decides.
    var responder: Responder?
  }

  let token: UInt64
  let context: LoopContext
  private let socket: AcceptedSocket
  var state = ConnectionState()
  var deadlines: ConnectionDeadlines
  var input: InputBuffer
  var parser: RequestHeadParser
  var exchange: Exchange?
  var output = OutputBuffer()
  var outgoing: OutgoingResponse?
  var discardedByteCount = 0
  private var registeredInterest = (reads: true, writes: false)
  /// The socket was readable while nobody reads: epoll must not tell again.
  private var hasUnwantedInput = false

  init(token: UInt64, socket: AcceptedSocket, context: LoopContext) {
    self.token = token
    self.socket = socket
    self.context = context
    deadlines = ConnectionDeadlines(at: context.now)
    parser = RequestHeadParser(limits: context.configuration.head)
    // One more than a head may have, so that the byte too many is seen.
    input = InputBuffer(capacity: context.configuration.head.headByteCountMax + 1)
  }

  deinit { context.counters.connectionsOpen.subtract(1, ordering: .relaxed) }

  var number: Int32 { socket.descriptor.number }
  var isClosed: Bool { state.phase == .closed }

  /// Registers with epoll, and answers at once when it is one connection too many.
  func open() {
    guard context.epoll.add(number, token: token, reads: true, writes: false) else { return lose() }
    if socket.isRefused {
      refuse(.tooManyConnections(connectionCountMax: context.configuration.connectionCountMax))
    }
  }

  func handle(_ readiness: Readiness) {
    // Behind a last response, what is left to read is read first: closing over it would reset.
    let isEnding = state.phase == .discarding && readiness.canRead
    if readiness.isBroken, !isEnding { return lose() }
    if readiness.canWrite { writeOutput() }
    guard readiness.canRead else { return }
    if state.wantsInput { readInput() } else { hasUnwantedInput = true }
  }

  /// An answer came through the mailbox.
  func respond(exchange: UInt64, _ response: Response) {
    guard exchange == state.exchange, state.hasOpenExchange else { return }
    respond(response)
  }

  /// The responder was dropped without an answer.
  func forsake(exchange: UInt64) {
    guard exchange == state.exchange, state.hasOpenExchange else { return }
    respond(context.handler.refusal(.noResponse))
  }

  /// The receiver takes more again.
  func resumeBody(exchange: UInt64) {
    guard exchange == state.exchange, state.phase == .readingBody else { return }
    deadlines.enter(.body, at: context.now)
    processInput()
    readInput()
  }

  /// The receiver of the body has enough for now.
  var isPaused: Bool { state.phase == .readingBody && exchange?.receiver?.isFull == true }

  func checkDeadlines() {
    switch deadlines.expiry(at: context.now, context.configuration) {
    case nil: return
    case .close: lose()
    case .refuse(let error): refuse(error)
    case .abort: abort()
    }
  }

  /// Ends the connection as soon as nothing is under way on it.
  func drain() {
    state.drain()
    // A request may have arrived in this very moment; it is answered rather than reset.
    if state.canCloseNow { readInput() }
    if state.canCloseNow { lose() }
  }

  /// Answers a fault that the server found; the input behind it is not trusted.
  func refuse(_ error: HTTPError) { respond(context.handler.refusal(error), closes: true) }

  /// The client is gone, or nobody waits for anything.
  func lose() {
    reportResponse()
    exchange = nil
    outgoing = nil
    output.removeAll()
    state.close()
  }

  /// Ends so that the client sees that the response is cut.
  func abort() {
    Socket.resetOnClose(number)
    lose()
  }

  /// Tells the handler about a response that was begun.
  func reportResponse() {
    guard let exchange, let outgoing else { return }
    context.handler.didRespond(
      to: exchange.head, status: outgoing.status,
      duration: exchange.start.duration(to: .now), responseByteCount: outgoing.sentByteCount)
  }

  /// Asks epoll for what the connection waits for now.
  ///
  /// A client that waits for its answer sends nothing, so reading is given up only once something
  /// came: that saves the two calls of every request that is answered in a later turn.
  func updateInterest() {
    if state.wantsInput { hasUnwantedInput = false }
    let isPaused = isPaused
    // It is not the client who lets the body wait.
    if isPaused, deadlines.phase == .body { deadlines.enter(.working, at: context.now) }
    let reads = !hasUnwantedInput && !isPaused
    // A response whose last byte used up the share of the turn is still to be ended.
    let writes = !output.isEmpty || outgoing != nil
    guard (reads, writes) != registeredInterest else { return }
    registeredInterest = (reads, writes)
    context.epoll.modify(number, token: token, reads: reads, writes: writes)
  }
}
