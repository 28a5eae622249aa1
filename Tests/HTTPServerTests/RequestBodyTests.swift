// Bodies on their way in: whole, in chunks, refused, cut.

import Foundation
import HTTPCore
import HTTPServer
import Synchronization
import SystemIO
import Testing

/// How much a ``PausingKeeper`` takes until it is full.
private final class Room: Sendable {
  static let byteCount = 256 << 10
  let byteCount = Mutex(Room.byteCount)
  private let responder: Responder

  init(_ responder: Responder) { self.responder = responder }

  func resume(byteCount: Int) {
    self.byteCount.withLock { $0 = byteCount }
    responder.resumeBody()
  }
}

/// Keeps the body, and is full once there is no room until somebody makes some.
private final class PausingKeeper: BodyReceiver {
  private let room: Room
  private let pauses: Signals<Room>
  private let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 100_000, alignment: 16)
  private var bytes: [UInt8] = []

  init(_ room: Room, _ pauses: Signals<Room>) { (self.room, self.pauses) = (room, pauses) }

  deinit { space.deallocate() }

  var isFull: Bool { room.byteCount.withLock { $0 <= 0 } }

  func space(forAtMost byteCount: Int) throws(Refusal) -> UnsafeMutableRawBufferPointer { space }

  func didReceive(byteCount: Int) throws(Refusal) {
    bytes += space[..<byteCount]
    let rest = room.byteCount.withLock { room in
      room -= byteCount
      return room
    }
    if rest <= 0 { pauses.add(room) }
  }

  func finish(_ responder: Responder) {
    responder.send(.text(bytes == RequestBodyTests.body ? "same" : "other: \(bytes.count)"))
  }
}

@Suite struct RequestBodyTests {
  static let body = (0..<(3 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 8) }

  /// Answers whether the body is the expected one.
  private static func checker(pieceByteCount: Int) -> TestHandler {
    TestHandler { _, _ in
      BodyKeeper(
        pieceByteCount: pieceByteCount,
        onFinish: { bytes, responder in
          responder.send(.text(bytes == body ? "same" : "other: \(bytes.count)"))
        })
    }
  }

  private static func chunked(_ bytes: [UInt8], chunkByteCount: Int) -> [UInt8] {
    var wire: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: chunkByteCount) {
      let chunk = bytes[start..<min(start + chunkByteCount, bytes.count)]
      wire += Array("\(String(chunk.count, radix: 16))\r\n".utf8) + chunk + Array("\r\n".utf8)
    }
    return wire + Array("0\r\nX-Trailer: 1\r\n\r\n".utf8)
  }

  @Test(arguments: [1000, 1 << 20, 16 << 20]) func takesACountedBody(pieceByteCount: Int) throws {
    try withServer(Self.checker(pieceByteCount: pieceByteCount)) { _, port in
      let client = try TestClient(port: port)

      for _ in 0..<2 {
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(Self.body.count)\r\n\r\n")
        try client.send(Self.body)
        #expect(try client.response().text == "same")
      }
    }
  }

  @Test(arguments: [100, 5000, 20_000, 1 << 20]) func takesAChunkedBody(chunkByteCount: Int) throws
  {
    try withServer(Self.checker(pieceByteCount: 1 << 20)) { _, port in
      let client = try TestClient(port: port)
      let wire = Self.chunked(Self.body, chunkByteCount: chunkByteCount)

      for _ in 0..<2 {
        try client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        try client.send(wire)
        #expect(try client.response().text == "same")
      }
    }
  }

  @Test(arguments: [nil, 5000, 200_000]) func readsOnWhenTheReceiverTakesMore(
    chunkByteCount: Int?
  ) throws {
    let pauses = Signals<Room>()
    let handler = TestHandler { _, responder in PausingKeeper(Room(responder), pauses) }
    let configuration = HTTPServerConfiguration.with { $0.bodyIdleDeadline = .milliseconds(50) }
    let field =
      chunkByteCount == nil ? "Content-Length: \(Self.body.count)" : "Transfer-Encoding: chunked"
    let wire = chunkByteCount.map { Self.chunked(Self.body, chunkByteCount: $0) } ?? Self.body
    try withServer(handler, configuration) { server, port in
      let client = try TestClient(port: port)
      try client.send("POST / HTTP/1.1\r\nHost: a\r\n\(field)\r\n\r\n")
      let sender = client.sendElsewhere(wire)

      let first = pauses.next()
      // Longer than a client may let the server wait.
      Thread.sleep(forTimeInterval: 0.3)
      let received = server.counters.receivedBytesTotal.load(ordering: .relaxed)
      first?.resume(byteCount: Room.byteCount)
      pauses.next()?.resume(byteCount: .max)

      #expect(received < 2 * Room.byteCount)
      #expect(try client.response().text == "same")
      sender.join()
    }
  }

  @Test func finishesAtOnceWithoutABody() throws {
    let handler = TestHandler { _, _ in BodyKeeper(onFinish: { $1.send(.text("\($0.count)")) }) }
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      for head in ["", "Content-Length: 0\r\n"] {
        try client.send("POST / HTTP/1.1\r\nHost: a\r\n\(head)\r\n")
        #expect(try client.response().text == "0")
      }
    }
  }

  @Test func saysContinueOnlyOnceABodyIsWanted() throws {
    let handler = TestHandler { head, responder in
      if head.path == "/take" { return BodyKeeper() }
      responder.send(.text("no", status: 413))
      return nil
    }
    let rest = "HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    try withServer(handler) { _, port in
      let taken = try TestClient(port: port)
      try taken.send("PUT /take \(rest)")
      #expect(try taken.response().status == 100)
      try taken.send("hello")
      #expect(try taken.response().text == "hello")

      let refused = try TestClient(port: port)
      try refused.send("PUT /refuse \(rest)")
      #expect(try refused.response().status == 413)
      refused.endOutput()
      #expect(try refused.receiveToEnd().isEmpty)
    }
  }

  @Test func answersAClientThatIsStillSending() throws {
    let handler = TestHandler { _, responder in
      responder.send(.text("too large", status: 413))
      return nil
    }
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      // All of it is sent before anything is read, as simple clients do.
      let byteCount = 32 << 20
      try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(byteCount)\r\n\r\n")
      try client.send([UInt8](repeating: 7, count: byteCount))
      let response = try client.response()

      #expect(response.status == 413)
      #expect(response.has("Connection: close"))
      client.endOutput()
      #expect(try client.receiveToEnd().isEmpty)
    }
  }

  @Test func letsAReceiverRefuseInTheMiddle() throws {
    let drops = Signals<Bool>()
    let handler = TestHandler { _, _ in
      BodyKeeper(
        onReceive: { (byteCount) throws(Refusal) in
          if byteCount > 100_000 { throw Refusal(.text("full", status: 507)) }
        }, onDrop: { drops.add(true) })
    }
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      let byteCount = 8 << 20
      try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \(byteCount)\r\n\r\n")
      try client.send([UInt8](repeating: 7, count: byteCount))

      #expect(try client.response().status == 507)
      #expect(drops.next() == true)
    }
  }

  @Test func refusesABadChunk() throws {
    try withServer(Self.checker(pieceByteCount: 1000)) { _, port in
      let client = try TestClient(port: port)

      try client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")

      let response = try client.response()
      #expect(response.status == 400)
      #expect(response.text == "bad-chunk")
    }
  }

  /// Framing, and what of the body comes before the client ends its output.
  @Test(arguments: [
    ("Content-Length: 100", ""), ("Content-Length: 100", "hello"),
    ("Transfer-Encoding: chunked", ""), ("Transfer-Encoding: chunked", "5\r\nhel"),
    ("Transfer-Encoding: chunked", "5\r\nhello\r\n"),
    ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n"),
  ]) func refusesABodyThatEndsEarly(framing: String, body: String) throws {
    let drops = Signals<Bool>()
    let handler = TestHandler { _, _ in
      BodyKeeper(
        onDrop: { drops.add(true) },
        onFinish: { _, _ in Issue.record("a cut body was taken for whole") })
    }
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      try client.send("POST / HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n\(body)")
      client.endOutput()
      let response = try client.response()

      #expect(response.status == 400)
      #expect(response.text == "truncated-body")
      #expect(response.has("Connection: close"))
      #expect(try client.receiveToEnd().isEmpty)
      #expect(drops.next() == true)
      #expect(handler.reports.next()?.status == 400)
    }
  }

  @Test func dropsTheReceiverWhenTheClientDies() throws {
    let (begins, drops) = (Signals<Bool>(), Signals<Bool>())
    let handler = TestHandler { _, _ in
      BodyKeeper(
        onReceive: { _ in begins.add(true) }, onDrop: { drops.add(true) },
        onFinish: { _, _ in Issue.record("a cut body was taken for whole") })
    }
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
      #expect(begins.next() == true)
      #expect(drops.count == 0)
      client.close()

      #expect(drops.next() == true)
    }
  }

  @Test func answersInTheMiddleOfABodyFromAnotherThread() throws {
    let begins = Signals<Responder>()
    let drops = Signals<Bool>()
    let handler = TestHandler { _, responder in
      begins.add(responder)
      return BodyKeeper(onDrop: { drops.add(true) })
    }
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
      begins.next()?.send(.text("enough", status: 429))
      let response = try client.response()

      #expect(response.status == 429)
      #expect(response.has("Connection: close"))
      #expect(drops.next() == true)
    }
  }

  @Test func ignoresAnAnswerToAClientThatIsGone() throws {
    let (kept, drops) = (Signals<Responder>(), Signals<Bool>())
    let begins = Signals<Bool>()
    let handler = TestHandler { head, responder in
      guard head.path == "/dies" else {
        responder.send(.text("alive"))
        return nil
      }
      kept.add(responder)
      return BodyKeeper(onReceive: { _ in begins.add(true) }, onDrop: { drops.add(true) })
    }
    try withServer(handler) { _, port in
      let dying = try TestClient(port: port)
      try dying.send("POST /dies HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello")
      #expect(begins.next() == true)
      dying.close()
      #expect(drops.next() == true)

      kept.next()?.send(.text("late"))

      let client = try TestClient(port: port)
      try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try client.response().text == "alive")
    }
  }
}
