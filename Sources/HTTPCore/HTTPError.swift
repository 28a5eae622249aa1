// What can be wrong with a request on the wire, or with an exchange. Each has one status and one
// code; the table test is Tests/HTTPCoreTests/HTTPErrorTests.swift.

/// A fault that the server itself finds: the handler turns it into the response that is sent.
package enum HTTPError: Error, Equatable, Sendable {
  case badFraming(found: String, expected: String)
  case badTarget(found: String, expected: String)
  case badHost(found: String)
  case badField(found: String, expected: String)
  case badChunk(found: String, expected: String)
  /// The client ended its output in the middle of a body.
  ///
  /// - found: Bytes of data received.
  /// - expected: Bytes announced; nil for a chunked body.
  case truncatedBody(found: Int, expected: Int?)
  case targetTooLong(byteCountMax: Int)
  case headTooLarge(byteCountMax: Int)
  case tooManyFields(fieldCountMax: Int)
  case unknownTransferCoding(found: String)
  case unsupportedVersion(found: String)
  case unknownExpectation(found: String)
  /// The head did not arrive within its deadline.
  case headTooSlow(deadline: Duration)
  /// No byte of the body for too long.
  case bodyStalled(deadline: Duration)
  /// Bytes come, but fewer than the minimum rate.
  case bodyTooSlow(bytesPerSecondMin: Int)
  case tooManyConnections(connectionCountMax: Int)
  /// The handler let go of the responder without an answer: our fault.
  case noResponse
  /// The handler's response cannot be put on the wire: our fault.
  case badResponse(found: String, expected: String)

  package var status: Int {
    switch self {
    case .badFraming, .badTarget, .badHost, .badField, .badChunk, .truncatedBody: 400
    case .headTooSlow, .bodyStalled, .bodyTooSlow: 408
    case .targetTooLong: 414
    case .unknownExpectation: 417
    case .headTooLarge, .tooManyFields: 431
    case .noResponse, .badResponse: 500
    case .unknownTransferCoding: 501
    case .tooManyConnections: 503
    case .unsupportedVersion: 505
    }
  }

  /// Stable: clients may depend on it.
  package var code: String {
    switch self {
    case .badFraming: "bad-request-framing"
    case .badTarget: "bad-request-target"
    case .badHost: "bad-host"
    case .badField: "bad-header-field"
    case .badChunk: "bad-chunk"
    case .truncatedBody: "truncated-body"
    case .targetTooLong: "target-too-long"
    case .headTooLarge: "head-too-large"
    case .tooManyFields: "too-many-fields"
    case .unknownTransferCoding: "unknown-transfer-coding"
    case .unsupportedVersion: "unsupported-http-version"
    case .unknownExpectation: "unknown-expectation"
    case .headTooSlow: "head-too-slow"
    case .bodyStalled: "body-stalled"
    case .bodyTooSlow: "body-too-slow"
    case .tooManyConnections: "too-many-connections"
    case .noResponse: "no-response"
    case .badResponse: "bad-response"
    }
  }
}

extension HTTPError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .badFraming(let found, let expected): "request head has \(found), expected \(expected)"
    case .badTarget(let found, let expected): "request target is \(found), expected \(expected)"
    case .badHost(let found): "Host is \(found), expected exactly one host with an optional port"
    case .badField(let found, let expected): "header field is \(found), expected \(expected)"
    case .badChunk(let found, let expected): "chunked body has \(found), expected \(expected)"
    case .truncatedBody(let found, let expected):
      "request body ended after \(found) bytes of data, expected "
        + (expected.map { "the \($0) announced by Content-Length" } ?? "a last chunk of size 0")
    case .targetTooLong(let limit): "request target is longer than the \(limit) bytes allowed"
    case .headTooLarge(let limit): "request head is longer than the \(limit) bytes allowed"
    case .tooManyFields(let limit): "request has more than the \(limit) header fields allowed"
    case .unknownTransferCoding(let found):
      "Transfer-Encoding is \(found), expected 'chunked' alone"
    case .unsupportedVersion(let found): "version is \(found), expected HTTP/1.1 or HTTP/1.0"
    case .unknownExpectation(let found): "Expect is \(found), expected '100-continue'"
    case .headTooSlow(let deadline): "request head did not arrive within \(deadline)"
    case .bodyStalled(let deadline): "no byte of the request body arrived for \(deadline)"
    case .bodyTooSlow(let rate):
      "request body arrives slower than the \(rate) bytes per second expected"
    case .tooManyConnections(let limit):
      "all of the \(limit) connections allowed are taken; try again later"
    case .noResponse: "the request was given up without an answer"
    case .badResponse(let found, let expected): "response has \(found), expected \(expected)"
    }
  }
}
