// From the handler's response to the socket, one piece at a time.

internal import Foundation
internal import HTTPCore
internal import Synchronization
internal import SystemIO

extension Connection {
  /// Up to this size a body is sent in one piece with its head.
  private static let joinedByteCountMax = 16 << 10

  /// Starts a response, unless it is too late for one.
  func respond(_ response: Response, closes: Bool = false) {
    let closes = closes || response.asksToClose
    guard let keepsAlive = state.respond(closes: closes) else { return }
    exchange?.receiver = nil
    exchange?.responder = nil
    deadlines.enter(.writing, at: context.now)
    let (response, head) = encode(response, keepsAlive: keepsAlive)
    if !head.keepsAlive { state.respondsUntilClose() }
    var bytes = head.bytes
    var producer: (any BodyProducer)?
    var separate: [UInt8] = []
    switch response.body {
    case .none: break
    case .producer(let bodyProducer): producer = bodyProducer
    case .bytes(let body) where head.framing == .none: _ = body
    case .bytes(let body):
      if body.count <= Self.joinedByteCountMax { bytes += body } else { separate = body }
    }
    output.append(bytes)
    output.append(separate)
    outgoing = OutgoingResponse(
      status: response.status, framing: head.framing, producer: producer)
    writeOutput()
  }

  /// A response that cannot be sent becomes a 500, by the handler's words if those can be sent.
  private func encode(_ response: Response, keepsAlive: Bool) -> (Response, EncodedHead) {
    let responseContext = ResponseContext(
      isHead: exchange?.head.method == "HEAD", isHTTP10: exchange?.head.isHTTP10 ?? false,
      keepsAlive: keepsAlive, date: context.date)
    do throws(HTTPError) {
      return (response, try ResponseEncoder.encodeHead(of: response, in: responseContext))
    } catch {
      for replacement in [context.handler.refusal(error), Response(status: 500)] {
        if let head = try? ResponseEncoder.encodeHead(of: replacement, in: responseContext) {
          return (replacement, head)
        }
      }
      preconditionFailure("an empty 500 can always be encoded")
    }
  }

  /// Sends until the socket is full, nothing is left, or the share of the turn is used.
  func writeOutput() {
    var budget = context.configuration.turnByteCountMax
    while budget > 0 {
      if output.isEmpty {
        guard outgoing != nil else { return }
        guard fillOutput() else { return }
      }
      switch output.send(to: number, hasMore: outgoing?.hasMore == true) {
      case .moved(let byteCount):
        budget -= byteCount
        didSend(byteCount: byteCount)
      case .wouldBlock: return
      case .end, .failed: return lose()
      }
    }
  }

  private func didSend(byteCount: Int) {
    context.counters.sentBytesTotal.add(byteCount, ordering: .relaxed)
    guard outgoing != nil else { return }
    outgoing?.sentByteCount += byteCount
    deadlines.progress(byteCount: byteCount, at: context.now)
  }

  /// - Returns: true when there is something to send now.
  private func fillOutput() -> Bool {
    switch outgoing?.nextPiece() {
    case .bytes(let piece, let offset):
      output.append(piece, skipping: offset)
      return true
    case nil, .nothingYet: return false
    case .finished:
      finishResponse()
      return false
    case .broken:
      abort()
      return false
    }
  }

  private func finishResponse() {
    reportResponse()
    outgoing = nil
    exchange = nil
    switch state.didWriteResponse() {
    case .readNextRequest:
      deadlines.enter(.idle, at: context.now)
      processInput()
      if state.canCloseNow { lose() }
    case .discard:
      input.removeAll()
      Socket.endOutput(number)
      deadlines.enter(.discarding, at: context.now)
    }
  }
}
