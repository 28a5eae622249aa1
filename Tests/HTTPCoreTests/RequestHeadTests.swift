// Every framing rule, with the exact status and code. The rules:
// Sources/HTTPCore/RequestFraming.swift.

import HTTPCore
import TestContent
import Testing

@Suite struct RequestHeadTests {
  static let valid = [
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "GET / HTTP/1.1\r\nHost:\t[::1]:80 \r\nX: a\tb \u{e9}\r\nx: c\r\n\r\n",
    "POST /v1/a%2Fb/c%20d?x=1&y=a+b%26&z HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n",
    "GET http://example.org:80/p?q HTTP/1.1\r\nHost: other\r\nConnection: x, Close\r\n\r\n",
    "GET HTTPS://example.org?q=1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nExpect: teapot\r\n\r\n",
    "GET / HTTP/1.9\r\nHost: a\r\n\r\n",
  ]

  static let invalid: [(head: String, status: Int, code: String)] = [
    // Lines.
    ("GET / HTTP/1.1\nHost: a\n\n", 400, "bad-request-framing"),
    ("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, "bad-request-framing"),
    ("GET / HTTP/1.1\rX\r\nHost: a\r\n\r\n", 400, "bad-request-framing"),
    ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400, "bad-request-framing"),
    ("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400, "bad-request-framing"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n", 400, "bad-request-framing"),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400, "bad-request-framing"),
    ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-framing"),
    (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-framing"),
    // Request line.
    ("GET /\r\nHost: a\r\n\r\n", 400, "bad-request-framing"),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-framing"),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400, "bad-request-framing"),
    ("GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-framing"),
    ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-framing"),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-framing"),
    ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400, "bad-request-framing"),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "unsupported-http-version"),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "unsupported-http-version"),
    ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, "unsupported-http-version"),
    // Target.
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    ("GET http:///p HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    ("GET http://u@a/p HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    ("GET /p#f HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    ("GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    ("GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    ("GET /%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    ("GET /?a=%c3 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad-request-target"),
    // Fields.
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "bad-header-field"),
    ("GET / HTTP/1.1\r\nHost\r\n\r\n", 400, "bad-header-field"),
    ("GET / HTTP/1.1\r\n: a\r\n\r\n", 400, "bad-header-field"),
    ("GET / HTTP/1.1\r\nHo(st: a\r\n\r\n", 400, "bad-header-field"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{0}\r\n\r\n", 400, "bad-request-framing"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{1b}[m\r\n\r\n", 400, "bad-request-framing"),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{7f}\r\n\r\n", 400, "bad-request-framing"),
    // Host.
    ("GET / HTTP/1.1\r\n\r\n", 400, "bad-host"),
    ("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400, "bad-host"),
    ("GET / HTTP/1.1\r\nHost: a, b c\r\n\r\n", 400, "bad-host"),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, "bad-host"),
    ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad-host"),
    // Length of the body.
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", 400, "bad-request-framing"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400, "bad-request-framing"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", 400, "bad-request-framing"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n", 400, "bad-request-framing"),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", 400, "bad-request-framing"),
    (
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", 400,
      "bad-request-framing"
    ),
    (
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", 400,
      "bad-request-framing"
    ),
    (
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
      "bad-request-framing"
    ),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad-request-framing"),
    (
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400,
      "bad-request-framing"
    ),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400, "bad-request-framing"),
    (
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501,
      "unknown-transfer-coding"
    ),
    (
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 501,
      "unknown-transfer-coding"
    ),
    (
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501,
      "unknown-transfer-coding"
    ),
    (
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", 501,
      "unknown-transfer-coding"
    ),
    ("POST / HTTP/1.1\r\nHost: a\r\nExpect: teapot\r\n\r\n", 417, "unknown-expectation"),
  ]

  @Test(arguments: valid) func givesTheSameHeadHoweverTheBytesAreCut(_ head: String) throws {
    let bytes = Array(head.utf8)
    let whole = verdict([bytes])

    #expect(whole.status == 200)
    for cut in everyCut(of: bytes) { #expect(verdict(cut) == whole) }
  }

  @Test(arguments: invalid) func refuses(_ head: String, status: Int, code: String) {
    let bytes = Array(head.utf8)
    let whole = verdict([bytes])

    #expect(whole.status == status)
    #expect(whole.code == code)
    for cut in everyCut(of: bytes) { #expect(verdict(cut) == whole) }
  }

  @Test(arguments: valid.indices) func judgesDamagedHeadsTheSameHoweverTheyAreCut(_ seed: Int) {
    var numbers = SeededGenerator(seed: UInt64(seed))
    for _ in 0..<300 {
      let bytes = mutated(Array(Self.valid[seed].utf8), &numbers)
      let whole = verdict([bytes])
      let split = Int.random(in: 0...bytes.count, using: &numbers)

      #expect(verdict(bytes.map { [$0] }) == whole, "seed \(seed): \(bytes)")
      #expect(verdict([Array(bytes[..<split]), Array(bytes[split...])]) == whole, "seed \(seed)")
    }
  }

  @Test func splitsThePathBeforeDecodingIt() throws {
    let head = try #require(try parseHead(Self.valid[4]))

    #expect(head.path == "/v1/a%2Fb/c%20d")
    #expect(head.pathSegments == ["v1", "a/b", "c d"])
    #expect(head.query.first("y") == "a b&")
    #expect(head.query.first("z") == "")
    #expect(head.query.first("none") == nil)
    #expect(head.contentLength == 5)
  }

  @Test func knowsWhetherTheConnectionStays() throws {
    func staysOpen(_ rest: String) throws -> Bool? {
      try parseHead("GET / HTTP/\(rest)\r\n\r\n")?.wantsKeepAlive
    }

    #expect(try staysOpen("1.1\r\nHost: a") == true)
    #expect(try staysOpen("1.1\r\nHost: a\r\nConnection: CLOSE") == false)
    #expect(try staysOpen("1.0") == false)
    #expect(try staysOpen("1.0\r\nConnection: keep-alive") == true)
    #expect(try staysOpen("1.0\r\nConnection: keep-alive, close") == false)
  }

  @Test func takesExpectAndChunkedWithoutRegardToCase() throws {
    let head = try #require(try parseHead(Self.valid[5]))

    #expect(head.isChunked)
    #expect(head.expectsContinue)
    #expect(head.hasBody)
  }

  @Test func refusesATargetOneByteTooLong() {
    let limits = RequestHeadLimits(targetByteCountMax: 10)
    func request(_ target: String) -> [[UInt8]] {
      [Array("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)]
    }

    #expect(verdict(request("/123456789"), limits: limits).status == 200)
    #expect(verdict(request("/1234567890"), limits: limits).status == 414)
    #expect(verdict([Array("GET /1234567890".utf8)], limits: limits).code == "target-too-long")
  }

  @Test func refusesAHeadOneByteTooLarge() {
    let bytes = Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    let fits = RequestHeadLimits(headByteCountMax: bytes.count)
    let tooSmall = RequestHeadLimits(headByteCountMax: bytes.count - 1)

    #expect(verdict([bytes], limits: fits).status == 200)
    for cut in everyCut(of: bytes) {
      #expect(verdict(cut, limits: tooSmall).code == "head-too-large")
    }
    #expect(verdict([bytes], limits: tooSmall).status == 431)
  }

  @Test func refusesOneFieldTooMany() {
    func request(fieldCount: Int) -> [[UInt8]] {
      let fields = String(repeating: "X: y\r\n", count: fieldCount - 1)
      return [Array("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n".utf8)]
    }

    #expect(verdict(request(fieldCount: 100)).status == 200)
    #expect(verdict(request(fieldCount: 101)).status == 431)
    #expect(verdict(request(fieldCount: 101)).code == "too-many-fields")
  }

  @Test func leavesTheBytesBehindTheHead() throws {
    let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    let result = try parse([Array((head + "GET /next").utf8)])

    #expect(result?.byteCount == head.utf8.count)
  }
}
