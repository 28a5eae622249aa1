// The bytes of a response head, and how the body behind it ends. Source: RFC 9112 sections 4, 6.3,
// 9.

/// How the client learns where a response body ends.
package enum ResponseFraming: Equatable, Sendable {
  /// No body bytes: HEAD, 204, 304.
  case none
  case counted(byteCount: Int)
  case chunked
  /// HTTP/1.0 and an unknown length: the end of the connection is the end of the body.
  case untilClose
}

/// What the encoder has to know of the exchange.
package struct ResponseContext: Sendable {
  package var isHead: Bool
  package var isHTTP10: Bool
  package var keepsAlive: Bool
  /// An IMF-fixdate, see HTTPDate.swift.
  package var date: String

  package init(isHead: Bool, isHTTP10: Bool, keepsAlive: Bool, date: String) {
    self.isHead = isHead
    self.isHTTP10 = isHTTP10
    self.keepsAlive = keepsAlive
    self.date = date
  }
}

package struct EncodedHead: Sendable {
  package let bytes: [UInt8]
  package let framing: ResponseFraming
  /// False also where the framing does not allow it.
  package let keepsAlive: Bool
}

package enum ResponseEncoder {
  /// Sent once the handler wants the body of a request that asked first.
  package static let continueBytes = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)

  private static let ownNames = ["Content-Length", "Transfer-Encoding", "Connection", "Date"]

  /// - Throws: ``HTTPError/badResponse(found:expected:)`` for a status outside 200 to 599 and for a
  ///   field that would break the head apart.
  package static func encodeHead(
    of response: Response, in context: ResponseContext
  ) throws(HTTPError) -> EncodedHead {
    guard 200...599 ~= response.status else {
      throw .badResponse(found: "status \(response.status)", expected: "200 to 599")
    }
    let framing = framing(of: response, in: context)
    let keepsAlive = context.keepsAlive && framing != .untilClose
    var text = "HTTP/1.1 \(response.status) \(ReasonPhrase.of(response.status))\r\n"
    text += "Date: \(context.date)\r\n"
    for field in response.fields.all where !ownNames.contains(where: { isSame($0, field.name) }) {
      try check(field)
      text += "\(field.name): \(field.value)\r\n"
    }
    text += framingField(of: response, framing)
    if !keepsAlive {
      text += "Connection: close\r\n"
    } else if context.isHTTP10 {
      text += "Connection: keep-alive\r\n"
    }
    let sent = context.isHead ? .none : framing
    return EncodedHead(bytes: Array((text + "\r\n").utf8), framing: sent, keepsAlive: keepsAlive)
  }

  /// What a GET would get: HEAD differs only in what is sent behind the head.
  private static func framing(of response: Response, in context: ResponseContext) -> ResponseFraming
  {
    if response.status == 204 || response.status == 304 { return .none }
    switch response.body {
    case .none: return .counted(byteCount: 0)
    case .bytes(let bytes): return .counted(byteCount: bytes.count)
    case .producer(let producer):
      if let byteCount = producer.byteCount { return .counted(byteCount: byteCount) }
      return context.isHTTP10 ? .untilClose : .chunked
    }
  }

  private static func framingField(of response: Response, _ framing: ResponseFraming) -> String {
    switch framing {
    case .none, .untilClose: ""
    case .counted(let byteCount): "Content-Length: \(byteCount)\r\n"
    case .chunked: "Transfer-Encoding: chunked\r\n"
    }
  }

  private static func isSame(_ left: String, _ right: String) -> Bool {
    HTTPFields.isSameName(left, right)
  }

  private static func check(_ field: HTTPFields.Field) throws(HTTPError) {
    guard !field.name.isEmpty, field.name.utf8.allSatisfy(ByteClass.isToken) else {
      throw .badResponse(found: "field name \(quoted(field.name.utf8))", expected: "a token")
    }
    guard !field.value.utf8.contains(where: ByteClass.isForbiddenControl) else {
      throw .badResponse(
        found: "a control byte in the value of \(field.name)", expected: "text on one line")
    }
  }

  /// The frame of one chunk: its size line, made for the front of the data.
  package static func chunkSizeLine(byteCount: Int) -> [UInt8] {
    Array((String(byteCount, radix: 16) + "\r\n").utf8)
  }

  package static let chunkEnd = Array("\r\n".utf8)

  /// The end of a body in chunks; a trailer that would break the message apart is left out.
  package static func lastChunk(trailers: [(name: String, value: String)]) -> [UInt8] {
    var text = "0\r\n"
    for trailer in trailers {
      let field = HTTPFields.Field(name: trailer.name, value: trailer.value)
      if (try? check(field)) != nil { text += "\(field.name): \(field.value)\r\n" }
    }
    return Array((text + "\r\n").utf8)
  }
}
