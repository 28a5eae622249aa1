// A checked request head: what RequestHeadParser.swift returns and handlers see.

/// Request line and fields; every framing rule of RFC 9112 holds for it.
package struct RequestHead: Sendable {
  package let method: String
  /// The path as received, still percent-encoded; `*` for a server-wide OPTIONS.
  package let path: String
  /// The decoded parts between slashes: `/a%2Fb/` is `["a/b", ""]`, `/` is `[]`.
  package let pathSegments: [String]
  package let query: Query
  package let fields: HTTPFields
  package let isHTTP10: Bool
  /// Bytes of the body; nil when there is no Content-Length.
  package let contentLength: Int?
  package let isChunked: Bool
  package let expectsContinue: Bool
  package let wantsKeepAlive: Bool

  /// True when bytes of a body follow the head.
  package var hasBody: Bool { isChunked || (contentLength ?? 0) > 0 }

  /// Checks what only the whole head can tell.
  init(line: RequestLine, fields: HTTPFields) throws(HTTPError) {
    let target = try RequestTarget(line.target, method: line.method)
    method = line.method
    path = target.path
    pathSegments = target.segments
    query = target.query
    self.fields = fields
    isHTTP10 = line.isHTTP10
    try RequestFraming.checkHost(fields, isRequired: !line.isHTTP10)
    contentLength = try RequestFraming.contentLength(fields)
    isChunked = try RequestFraming.isChunked(fields, isHTTP10: line.isHTTP10)
    expectsContinue = try RequestFraming.expectsContinue(fields, isHTTP10: line.isHTTP10)
    wantsKeepAlive = RequestFraming.wantsKeepAlive(fields, isHTTP10: line.isHTTP10)
  }
}

/// The first line of a request, taken apart.
struct RequestLine {
  let method: String
  let target: [UInt8]
  let isHTTP10: Bool

  /// - Parameter line: The line without its CRLF.
  init(_ line: Span<UInt8>) throws(HTTPError) {
    let bytes = line.copied
    let parts = bytes.split(separator: ByteClass.space, omittingEmptySubsequences: false)
    guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty }) else {
      throw .badFraming(
        found: "request line \(quoted(bytes))",
        expected: "method, target and version, one space each")
    }
    guard parts[0].allSatisfy(ByteClass.isToken) else {
      throw .badFraming(found: "method \(quoted(parts[0]))", expected: "a token")
    }
    guard parts[1].allSatisfy(ByteClass.isVisible) else {
      throw .badTarget(found: quoted(parts[1]), expected: "visible ASCII, the rest percent-encoded")
    }
    method = String(decoding: parts[0], as: UTF8.self)
    target = Array(parts[1])
    isHTTP10 = try Self.isHTTP10(Array(parts[2]))
  }

  private static func isHTTP10(_ version: [UInt8]) throws(HTTPError) -> Bool {
    guard version.count == 8, version.starts(with: "HTTP/".utf8), ByteClass.isDigit(version[5]),
      version[6] == 0x2E, ByteClass.isDigit(version[7])
    else { throw .badFraming(found: "version \(quoted(version))", expected: "HTTP/1.1") }
    guard version[5] == 0x31 else { throw .unsupportedVersion(found: quoted(version)) }
    return version[7] == 0x30
  }
}
