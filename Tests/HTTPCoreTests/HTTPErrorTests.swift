// The one table of faults, statuses and codes; a case that is missing here is a case nobody
// checked.

import HTTPCore
import Testing

@Suite struct HTTPErrorTests {
  static let table: [(error: HTTPError, status: Int, code: String)] = [
    (.badFraming(found: "a", expected: "b"), 400, "bad-request-framing"),
    (.badTarget(found: "a", expected: "b"), 400, "bad-request-target"),
    (.badHost(found: "a"), 400, "bad-host"),
    (.badField(found: "a", expected: "b"), 400, "bad-header-field"),
    (.badChunk(found: "a", expected: "b"), 400, "bad-chunk"),
    (.truncatedBody(found: 1, expected: 2), 400, "truncated-body"),
    (.targetTooLong(byteCountMax: 1), 414, "target-too-long"),
    (.headTooLarge(byteCountMax: 1), 431, "head-too-large"),
    (.tooManyFields(fieldCountMax: 1), 431, "too-many-fields"),
    (.unknownTransferCoding(found: "a"), 501, "unknown-transfer-coding"),
    (.unsupportedVersion(found: "a"), 505, "unsupported-http-version"),
    (.unknownExpectation(found: "a"), 417, "unknown-expectation"),
    (.headTooSlow(deadline: .seconds(1)), 408, "head-too-slow"),
    (.bodyStalled(deadline: .seconds(1)), 408, "body-stalled"),
    (.bodyTooSlow(bytesPerSecondMin: 1), 408, "body-too-slow"),
    (.tooManyConnections(connectionCountMax: 1), 503, "too-many-connections"),
    (.noResponse, 500, "no-response"),
    (.badResponse(found: "a", expected: "b"), 500, "bad-response"),
  ]

  @Test(arguments: table) func hasOneStatusAndOneCode(_ error: HTTPError, status: Int, code: String)
  {
    #expect(error.status == status)
    #expect(error.code == code)
    #expect(!error.description.isEmpty)
    #expect(!ReasonPhrase.of(error.status).hasPrefix("Status"))
  }

  @Test func givesEveryFaultItsOwnCode() {
    #expect(Set(Self.table.map(\.code)).count == Self.table.count)
  }

  @Test func saysHowMuchOfABodyCame() {
    let counted = HTTPError.truncatedBody(found: 1, expected: 2)
    let chunked = HTTPError.truncatedBody(found: 1, expected: nil)

    #expect(
      "\(counted)"
        == "request body ended after 1 bytes of data, expected the 2 announced by Content-Length")
    #expect(
      "\(chunked)" == "request body ended after 1 bytes of data, expected a last chunk of size 0")
  }

  @Test func showsForeignBytesEscapedAndCut() throws {
    let target = String(repeating: "x", count: 100) + "#"
    let bytes = Array("GET /\u{1b}".utf8)

    #expect(verdict([Array("GET /\(target) HTTP/1.1\r\n\r\n".utf8)]).summary.utf8.count < 160)
    #expect(verdict([bytes]).summary == "request head has control byte '\\x1b', expected text")
  }
}
