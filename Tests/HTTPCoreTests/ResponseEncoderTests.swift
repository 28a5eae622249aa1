// The bytes of response heads, golden. The encoder: Sources/HTTPCore/ResponseEncoder.swift.

import HTTPCore
import Testing

private final class NumberProducer: BodyProducer {
  let byteCount: Int?
  init(byteCount: Int?) { self.byteCount = byteCount }
  func next(into output: inout [UInt8]) throws -> Bool { false }
}

@Suite struct ResponseEncoderTests {
  private let date = "Sun, 06 Nov 1994 08:49:37 GMT"

  private func encode(
    _ response: Response, isHead: Bool = false, isHTTP10: Bool = false, keepsAlive: Bool = true
  ) throws -> (text: String, framing: ResponseFraming, keepsAlive: Bool) {
    let head = try ResponseEncoder.encodeHead(
      of: response,
      in: ResponseContext(isHead: isHead, isHTTP10: isHTTP10, keepsAlive: keepsAlive, date: date))
    return (String(decoding: head.bytes, as: UTF8.self), head.framing, head.keepsAlive)
  }

  @Test func writesStatusDateFieldsAndLength() throws {
    let response = Response(
      status: 200, fields: HTTPFields([("Content-Type", "text/plain")]), body: .bytes([1, 2, 3]))

    let head = try encode(response)

    let expected =
      "HTTP/1.1 200 OK\r\nDate: \(date)\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n"
    #expect(head.text == expected)
    #expect(head.framing == .counted(byteCount: 3))
  }

  @Test func tellsHeadTheSameLengthAndSendsNothing() throws {
    let head = try encode(Response(status: 200, body: .bytes([1, 2, 3])), isHead: true)

    #expect(head.text.contains("\r\nContent-Length: 3\r\n"))
    #expect(head.framing == .none)
  }

  @Test(arguments: [204, 304]) func sendsNoLengthWhereThereIsNoBody(status: Int) throws {
    let head = try encode(Response(status: status, body: .bytes([1])))

    #expect(!head.text.contains("Content-Length"))
    #expect(!head.text.contains("Transfer-Encoding"))
    #expect(head.framing == .none)
  }

  @Test func saysZeroForAnEmptyBody() throws {
    #expect(try encode(Response(status: 201)).text.contains("\r\nContent-Length: 0\r\n"))
  }

  @Test func framesUnknownLengthsByVersion() throws {
    let response = Response(status: 200, body: .producer(NumberProducer(byteCount: nil)))

    let chunked = try encode(response)
    let untilClose = try encode(response, isHTTP10: true)

    #expect(chunked.framing == .chunked)
    #expect(chunked.text.contains("\r\nTransfer-Encoding: chunked\r\n"))
    #expect(untilClose.framing == .untilClose)
    #expect(untilClose.text.contains("\r\nConnection: close\r\n"))
    #expect(!untilClose.keepsAlive)
  }

  @Test func countsAProducerThatKnowsItsLength() throws {
    let response = Response(status: 200, body: .producer(NumberProducer(byteCount: 7)))

    #expect(try encode(response).framing == .counted(byteCount: 7))
  }

  @Test func saysWhetherTheConnectionStays() throws {
    #expect(try !encode(Response(status: 200)).text.contains("Connection"))
    #expect(try encode(Response(status: 200), keepsAlive: false).text.contains("Connection: close"))
    #expect(
      try encode(Response(status: 200), isHTTP10: true).text.contains("Connection: keep-alive"))
  }

  @Test func ignoresFramingFieldsOfTheHandler() throws {
    let fields = HTTPFields([
      ("content-length", "99"), ("Transfer-Encoding", "gzip"), ("DATE", "x"),
      ("Connection", "close"),
    ])
    let response = Response(status: 200, fields: fields, body: .bytes([1]))

    let head = try encode(response)

    #expect(head.text == "HTTP/1.1 200 OK\r\nDate: \(date)\r\nContent-Length: 1\r\n\r\n")
    #expect(response.asksToClose)
  }

  @Test(arguments: ["a\r\nSet-Cookie: x", "a\nb", "a\rb", "a\u{0}b", "\u{7f}"])
  func refusesValuesThatBreakTheHead(_ value: String) {
    let response = Response(status: 200, fields: HTTPFields([("X", value)]))

    #expect(throws: HTTPError.self) { try encode(response) }
  }

  @Test(arguments: ["", "X Y", "X:", "X\r\n"]) func refusesNamesThatAreNoTokens(_ name: String) {
    let response = Response(status: 200, fields: HTTPFields([(name, "a")]))

    #expect(throws: HTTPError.self) { try encode(response) }
  }

  @Test(arguments: [0, 100, 199, 600]) func refusesStatusesThatAreNoFinalOnes(_ status: Int) {
    #expect(throws: HTTPError.self) { try encode(Response(status: status)) }
  }

  @Test(arguments: [
    (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
    (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
    (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
    (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
  ]) func formatsDates(_ seconds: Int, text: String) {
    #expect(HTTPDate.format(secondsSince1970: seconds) == text)
  }
}
