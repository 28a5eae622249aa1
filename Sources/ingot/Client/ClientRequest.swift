// One request of a command to a server. Sent by ServerClient.swift.

internal import IngestAPI
internal import SystemIO

struct ClientRequest {
  enum Body {
    case none
    /// Sent one piece behind the other, with their length declared.
    case pieces([any BodyMemory])
    /// Sent in chunks by a thread of its own, so that the answer can be read meanwhile. Opened anew for
    /// every try; each piece is not empty, and nil ends the body.
    case stream(_ open: () throws(ClientError) -> @Sendable () -> [UInt8]?)
  }

  var method: String
  /// With its query, percent-encoded.
  var path: String
  var fields: [(name: String, value: String)] = []
  var body = Body.none
  /// Sending it twice does no more than sending it once.
  var isIdempotent: Bool

  init(_ method: String, _ path: String) {
    self.method = method
    self.path = path
    isIdempotent = method != "POST"
  }

  mutating func setJSON(_ text: String) {
    fields.append(("Content-Type", "application/json"))
    body = .pieces([HeapBodyMemory(Array(text.utf8))])
  }

  /// Request line and header fields for a server.
  func head(authority: String) -> [UInt8] {
    var head = "\(method) \(path) HTTP/1.1\r\nHost: \(authority)\r\n"
    head += "User-Agent: ingot/\(IngotVersion.current)\r\n"
    for field in fields { head += "\(field.name): \(field.value)\r\n" }
    switch body {
    case .none where method == "GET" || method == "DELETE": break
    case .none: head += "Content-Length: 0\r\n"
    case .pieces(let pieces):
      head += "Content-Length: \(pieces.reduce(0) { unsafe $0 + $1.bytes.count })\r\n"
    case .stream: head += "Transfer-Encoding: chunked\r\n"
    }
    return Array((head + "\r\n").utf8)
  }
}
