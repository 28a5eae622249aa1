// Reads the responses of one connection, one behind the other. Source: RFC 9112.

internal import HTTPCore
internal import SystemIO

/// Status line and header fields.
struct ResponseHead: Sendable {
  let status: Int
  let fields: [(name: String, value: String)]

  /// The value of a field; its name in lower case.
  func first(_ name: String) -> String? { fields.first { $0.name == name }?.value }

  var isChunked: Bool { first("transfer-encoding")?.lowercased() == "chunked" }
  var keepsConnection: Bool { first("connection")?.lowercased() != "close" }

  /// Source: RFC 9110 sections 6.4.1, 15.2, 15.3.5 and 15.4.5.
  var hasNoContent: Bool { status < 200 || status == 204 || status == 304 }

  /// - Parameter bytes: From the status line to the empty line.
  init?(_ bytes: ArraySlice<UInt8>) {
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
    let statusLine = lines.first?.split(separator: " ", maxSplits: 2) ?? []
    guard statusLine.count >= 2, statusLine[0] == "HTTP/1.1" || statusLine[0] == "HTTP/1.0",
      let status = Int(statusLine[1]), (100...599).contains(status)
    else { return nil }
    var fields: [(name: String, value: String)] = []
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":") else { return nil }
      let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
      fields.append((line[..<colon].lowercased(), String(value)))
    }
    self.status = status
    self.fields = fields
  }
}

struct ResponseReader: Sendable {
  private var bytes = [UInt8](repeating: 0, count: bufferByteCount)
  /// What was received and not taken yet.
  private var unread = 0..<0

  private static let bufferByteCount = 64 << 10
  private static let headEnd = Array("\r\n\r\n".utf8)

  /// True before the first byte of a response.
  var isEmpty: Bool { unread.isEmpty }

  /// The head of the next final response; interim ones are read over.
  mutating func readHead(from socket: ClientSocket) throws(ClientError) -> ResponseHead {
    while true {
      let head = try readAnyHead(from: socket)
      if head.status >= 200 { return head }
    }
  }

  private mutating func readAnyHead(from socket: ClientSocket) throws(ClientError) -> ResponseHead {
    bytes.replaceSubrange(0..<unread.count, with: Array(bytes[unread]))
    unread = 0..<unread.count
    var searched = 0
    while true {
      if let end = bytes[searched..<unread.upperBound].firstRange(of: Self.headEnd)?.upperBound {
        guard let head = ResponseHead(bytes[..<end]) else {
          throw .notUnderstood("what answered is no HTTP/1.1 server")
        }
        unread = end..<unread.upperBound
        return head
      }
      guard unread.upperBound < bytes.count else {
        throw .notUnderstood("the answer has no end of its header fields")
      }
      searched = max(0, unread.upperBound - 3)
      try receive(from: socket)
    }
  }

  private mutating func receive(from socket: ClientSocket) throws(ClientError) {
    if unread.isEmpty { unread = 0..<0 }
    let count = socket.receive(into: &bytes, at: unread.upperBound)
    guard count > 0 else { throw .lost("the connection ended before the answer") }
    unread = unread.lowerBound..<(unread.upperBound + count)
  }
}

extension ResponseReader {
  /// Lends the body piece by piece.
  ///
  /// - Returns: the trailer fields, their names in lower case.
  @safe
  mutating func readBody(
    of head: ResponseHead, from socket: ClientSocket,
    _ take: (UnsafeRawBufferPointer) throws(DiskError) -> Void
  ) throws(ClientError) -> [(name: String, value: String)] {
    if head.hasNoContent { return [] }
    if head.isChunked { return try readChunks(from: socket, take) }
    guard let text = head.first("content-length") else {
      try readToEnd(from: socket, take)
      return []
    }
    guard let byteCount = Int(text), byteCount >= 0 else {
      throw .notUnderstood("the answer has the Content-Length '\(text.prefix(40))'")
    }
    var rest = byteCount
    while rest > 0 {
      if unread.isEmpty { try receive(from: socket) }
      rest -= try lend(min(rest, unread.count), take)
    }
    return []
  }

  @safe
  private mutating func readChunks(
    from socket: ClientSocket, _ take: (UnsafeRawBufferPointer) throws(DiskError) -> Void
  ) throws(ClientError) -> [(name: String, value: String)] {
    var decoder = ChunkedBodyDecoder()
    while true {
      var consumed = 0
      let event: ChunkedBodyDecoder.Event
      do throws(HTTPError) {
        event = try decoder.advance(
          over: bytes.span.extracting(unread), consumedByteCount: &consumed)
      } catch {
        throw .notUnderstood("the answer is not well chunked: \(error)")
      }
      unread = (unread.lowerBound + consumed)..<unread.upperBound
      switch event {
      case .needsInput: try receive(from: socket)
      case .finished: return decoder.trailers.map { ($0.name.lowercased(), $0.value) }
      case .data(let byteCount):
        if unread.isEmpty { try receive(from: socket) }
        decoder.didTake(byteCount: try lend(min(byteCount, unread.count), take))
      }
    }
  }

  /// Without a length, the end of the connection is the end of the body.
  @safe
  private mutating func readToEnd(
    from socket: ClientSocket, _ take: (UnsafeRawBufferPointer) throws(DiskError) -> Void
  ) throws(ClientError) {
    while true {
      _ = try lend(unread.count, take)
      unread = 0..<0
      let count = socket.receive(into: &bytes, at: 0)
      if count == 0 { return }
      unread = 0..<count
    }
  }

  @safe
  private mutating func lend(
    _ byteCount: Int, _ take: (UnsafeRawBufferPointer) throws(DiskError) -> Void
  ) throws(ClientError) -> Int {
    let part = unread.lowerBound..<(unread.lowerBound + byteCount)
    var failure: DiskError?
    unsafe bytes.withUnsafeBytes { buffer in
      do throws(DiskError) {
        try unsafe take(UnsafeRawBufferPointer(rebasing: buffer[part]))
      } catch {
        failure = error
      }
    }
    if let failure { throw .disk(failure) }
    unread = part.upperBound..<unread.upperBound
    return byteCount
  }
}
