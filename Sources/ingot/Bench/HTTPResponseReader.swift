// Reads the short responses of the server under test. Source: RFC 9112.

/// What the benchmark needs to know of a response.
struct HTTPResponse: Sendable {
  let status: Int
  /// The status, and the code of the problem document when there is one.
  let name: String
  let keepsConnection: Bool
}

struct HTTPResponseReader: Sendable {
  private var bytes = [UInt8](repeating: 0, count: responseByteCountMax)
  private var filledCount = 0

  /// Receipts and problem documents are far shorter.
  private static let responseByteCountMax = 64 << 10
  private static let headEnd = Array("\r\n\r\n".utf8)

  /// - Returns: nil when the connection ends first, or what comes is no response.
  mutating func read(from socket: ClientSocket) -> HTTPResponse? {
    filledCount = 0
    while true {
      guard let head = readHead(from: socket) else { return nil }
      let end = head.byteCount + head.contentByteCount
      guard end <= bytes.count else { return nil }
      while filledCount < end { guard receive(from: socket) else { return nil } }
      if head.status >= 200 { return response(head, content: bytes[head.byteCount..<end]) }
      // An interim response; the final one follows.
      bytes.replaceSubrange(0..<(filledCount - end), with: Array(bytes[end..<filledCount]))
      filledCount -= end
    }
  }

  private struct Head {
    var byteCount: Int
    var status: Int
    var contentByteCount = 0
    var keepsConnection = true
  }

  private mutating func readHead(from socket: ClientSocket) -> Head? {
    var searched = 0
    while true {
      if let end = bytes[searched..<filledCount].firstRange(of: Self.headEnd)?.upperBound {
        return Self.parse(bytes[..<end])
      }
      searched = max(0, filledCount - 3)
      guard receive(from: socket) else { return nil }
    }
  }

  private mutating func receive(from socket: ClientSocket) -> Bool {
    guard filledCount < bytes.count else { return false }
    let count = socket.receive(into: &bytes, at: filledCount)
    filledCount += count
    return count > 0
  }

  private static func parse(_ head: ArraySlice<UInt8>) -> Head? {
    let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
    let statusLine = lines.first?.split(separator: " ") ?? []
    guard statusLine.count >= 2, statusLine[0] == "HTTP/1.1", let status = Int(statusLine[1]) else {
      return nil
    }
    var parsed = Head(byteCount: head.count, status: status)
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { return nil }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      switch line[..<colon].lowercased() {
      case "content-length":
        guard let byteCount = Int(value), byteCount >= 0 else { return nil }
        parsed.contentByteCount = byteCount
      case "connection": parsed.keepsConnection = value.lowercased() != "close"
      default: break
      }
    }
    return parsed
  }

  /// The code is looked for as text; the problem documents of the server are written without escapes in it.
  private func response(_ head: Head, content: ArraySlice<UInt8>) -> HTTPResponse {
    var name = "\(head.status)"
    let text = head.status < 400 ? "" : String(decoding: content, as: UTF8.self)
    if let key = text.firstRange(of: #""code":"#) {
      let value = text[key.upperBound...].drop { $0 == " " || $0 == "\"" }.prefix { $0 != "\"" }
      name += " \(value.prefix(80))"
    }
    return HTTPResponse(status: head.status, name: name, keepsConnection: head.keepsConnection)
  }
}
