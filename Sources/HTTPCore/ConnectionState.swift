// What a connection does next: methods are events, results are orders. The effects are in
// HTTPServer/Connection.swift.

/// One request at a time, strictly in order: the next head is looked at only when the response
/// before is on its way. Knows neither sockets nor time.
package struct ConnectionState: ~Copyable, Sendable {
  package enum Phase: Equatable, Sendable {
    /// Between requests, no byte of the next one seen.
    case idle
    case readingHead
    case readingBody
    /// The handler works; with an unread body the connection cannot be used again.
    case awaitingResponse(bodyIsUnread: Bool)
    case responding(keepsAlive: Bool)
    /// Answered for the last time: what the client still sends is read and thrown away, so that
    /// closing does not reset the connection before the client has seen the answer.
    case discarding
    case closed
  }

  package enum BodyOrder: Equatable, Sendable {
    case readBody(sendsContinue: Bool)
    /// There is no body: tell the receiver at once.
    case finish
    /// The handler goes without the body.
    case awaitResponse
  }

  package enum AfterResponse: Equatable, Sendable { case readNextRequest, discard }

  package private(set) var phase = Phase.idle
  /// Counts requests of this connection from 1; tells a late answer from a current one.
  package private(set) var exchange: UInt64 = 0
  private var requestKeepsAlive = false
  private var isDraining = false

  package init() {}

  package var wantsInput: Bool {
    switch phase {
    case .idle, .readingHead, .readingBody, .discarding: true
    case .awaitingResponse, .responding, .closed: false
    }
  }

  /// True while a request waits for its answer.
  package var hasOpenExchange: Bool {
    switch phase {
    case .readingBody, .awaitingResponse: true
    case .idle, .readingHead, .responding, .discarding, .closed: false
    }
  }

  package mutating func didReceiveFirstByte() {
    precondition(phase == .idle, "first byte of a request while \(phase)")
    phase = .readingHead
  }

  package mutating func didParse(_ head: RequestHead) {
    precondition(phase == .readingHead, "a head while \(phase)")
    exchange += 1
    requestKeepsAlive = head.wantsKeepAlive
    phase = .awaitingResponse(bodyIsUnread: head.hasBody)
  }

  /// - Parameter takesBody: Whether the handler returned a receiver.
  package mutating func didBegin(_ head: RequestHead, takesBody: Bool) -> BodyOrder {
    guard takesBody else { return .awaitResponse }
    guard head.hasBody else { return .finish }
    phase = .readingBody
    return .readBody(sendsContinue: head.expectsContinue)
  }

  package mutating func didFinishBody() {
    precondition(phase == .readingBody, "end of a body while \(phase)")
    phase = .awaitingResponse(bodyIsUnread: false)
  }

  /// A response is there, of the handler or of the server itself.
  ///
  /// - Parameter closes: True when the response asks for it, or the input can no longer be trusted.
  /// - Returns: Whether the connection may be kept; nil when it is too late for a response.
  package mutating func respond(closes: Bool) -> Bool? {
    let canContinue: Bool
    switch phase {
    case .idle, .readingHead, .readingBody: canContinue = false
    case .awaitingResponse(let bodyIsUnread): canContinue = !bodyIsUnread
    case .responding, .discarding, .closed: return nil
    }
    let keepsAlive = canContinue && requestKeepsAlive && !closes && !isDraining
    phase = .responding(keepsAlive: keepsAlive)
    return keepsAlive
  }

  /// The response cannot be framed so that the connection survives it.
  package mutating func respondsUntilClose() { phase = .responding(keepsAlive: false) }

  package mutating func didWriteResponse() -> AfterResponse {
    guard case .responding(let keepsAlive) = phase else {
      preconditionFailure("end of a response while \(phase)")
    }
    phase = keepsAlive ? .idle : .discarding
    return keepsAlive ? .readNextRequest : .discard
  }

  /// From now on every response is the last of its connection.
  package mutating func drain() { isDraining = true }

  /// True when draining and nothing is under way.
  package var canCloseNow: Bool { isDraining && phase == .idle }

  package mutating func close() { phase = .closed }
}
