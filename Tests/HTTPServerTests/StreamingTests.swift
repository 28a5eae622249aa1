// Bodies that are made while they are sent.

import Foundation
import HTTPCore
import HTTPServer
import Synchronization
import Testing

/// Makes pieces of 64 KiB, counts how often it was asked.
private final class PieceProducer: BodyProducer {
  struct Failure: Error {}

  static let pieceByteCount = 64 << 10
  let byteCount: Int?
  let callCount = Atomic<Int>(0)
  private let pieceCount: Int
  private let failsAtEnd: Bool
  /// Every second call has nothing yet: the server must come back.
  private let isHesitant: Bool

  init(
    pieceCount: Int, isCounted: Bool, extraByteCount: Int = 0, failsAtEnd: Bool = false,
    isHesitant: Bool = true
  ) {
    self.pieceCount = pieceCount
    self.failsAtEnd = failsAtEnd
    self.isHesitant = isHesitant
    byteCount = isCounted ? pieceCount * Self.pieceByteCount + extraByteCount : nil
  }

  func next(into output: inout [UInt8]) throws -> Bool {
    let call = callCount.add(1, ordering: .relaxed).oldValue
    if isHesitant, call % 2 == 0 { return true }
    let index = isHesitant ? call / 2 : call
    output += [UInt8](repeating: UInt8(index % 251), count: Self.pieceByteCount)
    if index + 1 < pieceCount { return true }
    if failsAtEnd { throw Failure() }
    return false
  }

  static func expected(pieceCount: Int) -> [UInt8] {
    (0..<pieceCount).flatMap { [UInt8](repeating: UInt8($0 % 251), count: pieceByteCount) }
  }
}

@Suite struct StreamingTests {
  private func answering(with producer: PieceProducer) -> TestHandler {
    TestHandler { _, responder in
      responder.send(Response(status: 200, body: .producer(producer)))
      return nil
    }
  }

  @Test(arguments: [true, false]) func sendsEveryPiece(isCounted: Bool) throws {
    let producer = PieceProducer(pieceCount: 100, isCounted: isCounted)
    let handler = TestHandler { head, responder in
      responder.send(
        head.path == "/next" ? .text("x") : Response(status: 200, body: .producer(producer)))
      return nil
    }
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
      let response = try client.response()

      #expect(response.has("Transfer-Encoding: chunked") == !isCounted)
      #expect(response.body == PieceProducer.expected(pieceCount: 100))
      #expect(try client.response().text == "x")
    }
  }

  @Test(arguments: [false, true]) func endsABodyThatUsesUpTheTurn(closes: Bool) throws {
    let configuration = HTTPServerConfiguration.with { $0.turnByteCountMax = 64 << 10 }
    let body = [UInt8](repeating: 7, count: configuration.turnByteCountMax)
    let handler = TestHandler { head, responder in
      responder.send(
        head.path == "/next" ? .text("x") : Response(status: 200, body: .bytes(body)))
      return nil
    }
    try withServer(handler, configuration) { _, port in
      let client = try TestClient(port: port)
      let field = closes ? "Connection: close\r\n" : ""

      try client.send("GET / HTTP/1.1\r\nHost: a\r\n\(field)\r\n")
      #expect(try client.response().body == body)

      if closes {
        #expect(try client.receiveToEnd() == [])
      } else {
        try client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.response().text == "x")
      }
    }
  }

  @Test func endsWithTheConnectionForHTTP10() throws {
    let producer = PieceProducer(pieceCount: 3, isCounted: false)
    try withServer(answering(with: producer)) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
      let bytes = try client.receiveToEnd()

      #expect(bytes.suffix(3 << 16) == PieceProducer.expected(pieceCount: 3)[...])
    }
  }

  @Test func asksNoMoreThanTheReaderTakes() throws {
    let pieceCount = 500
    let producer = PieceProducer(pieceCount: pieceCount, isCounted: false, isHesitant: false)
    let handler = TestHandler { head, responder in
      let streams = head.path == "/stream"
      responder.send(streams ? Response(status: 200, body: .producer(producer)) : .text("x"))
      return nil
    }
    try withServer(handler) { server, port in
      let client = try TestClient(port: port, receiveByteCount: 256 << 10)
      let others = try (0..<4).map { _ in try TestClient(port: port) }

      try client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
      // A loop that answers others has had a turn, and would have asked if the socket took more.
      var askedBefore = -1
      while producer.callCount.load(ordering: .relaxed) != askedBefore {
        askedBefore = producer.callCount.load(ordering: .relaxed)
        for other in others + others {
          try other.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
          #expect(try other.response().text == "x")
        }
      }
      let asked = producer.callCount.load(ordering: .relaxed)
      let sent = server.counters.sentBytesTotal.load(ordering: .relaxed)

      // What the kernel's buffers took, and one piece that waits.
      #expect(asked <= sent / PieceProducer.pieceByteCount + 2)
      #expect(asked < pieceCount)
      #expect(try client.response().body.count == pieceCount * PieceProducer.pieceByteCount)
    }
  }

  @Test func makesABrokenBodyVisible() throws {
    let broken = [
      PieceProducer(pieceCount: 3, isCounted: false, failsAtEnd: true),
      PieceProducer(pieceCount: 3, isCounted: true, extraByteCount: 1),
      PieceProducer(pieceCount: 3, isCounted: true, extraByteCount: -1),
    ]
    for producer in broken {
      let handler = answering(with: producer)
      try withServer(handler) { _, port in
        let client = try TestClient(port: port)

        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")

        #expect(throws: ClientError.self) { try client.response() }
        #expect(handler.reports.next()?.status == 200)
      }
    }
  }

  @Test func makesABrokenBodyVisibleToHTTP10() throws {
    let producer = PieceProducer(pieceCount: 3, isCounted: false, failsAtEnd: true)
    try withServer(answering(with: producer)) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET / HTTP/1.0\r\n\r\n")

      #expect(throws: ClientError.self) { try client.receiveToEnd() }
    }
  }
}
