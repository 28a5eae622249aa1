// Requests and responses in order, over loopback.

import Foundation
import HTTPCore
import HTTPServer
import Synchronization
import Testing

@Suite struct ExchangeTests {
  @Test func keepsTheConnection() throws {
    try withServer(pathHandler()) { server, port in
      let client = try TestClient(port: port)

      for index in 0..<3 {
        try client.send("GET /\(index) HTTP/1.1\r\nHost: a\r\n\r\n")
        let response = try client.response()
        #expect(response.status == 200)
        #expect(response.text == "/\(index)")
        #expect(response.head.contains("\r\nDate: "))
      }

      #expect(server.counters.connectionsAcceptedTotal.load(ordering: .relaxed) == 1)
      #expect(server.counters.connectionsOpen.load(ordering: .relaxed) == 1)
    }
  }

  @Test func answersPipelinedRequestsInOrder() throws {
    // The first answer comes late, from another thread; the others would be ready at once.
    let handler = TestHandler { head, responder in
      if head.path == "/0" {
        Thread { responder.send(.text(head.path)) }.start()
      } else {
        responder.send(.text(head.path))
      }
      return nil
    }
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      let requests = (0..<500).map { "GET /\($0) HTTP/1.1\r\nHost: a\r\n\r\n" }
      try client.send(requests.joined())

      for index in 0..<500 { #expect(try client.response().text == "/\(index)") }
    }
  }

  @Test func readsOnAfterALateAnswer() throws {
    let held = Signals<Responder>()
    let handler = TestHandler { head, responder in
      if head.path == "/late" { held.add(responder) } else { responder.send(.text(head.path)) }
      return nil
    }
    try withServer(handler, .with { $0.loopCount = 1 }) { _, port in
      let (client, other) = (try TestClient(port: port), try TestClient(port: port))

      for _ in 0..<2 {
        try client.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        let responder = held.next()
        try client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        // One exchange of a neighbor later, the loop has seen that there is more to read.
        try other.send("GET /other HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try other.response().text == "/other")
        #expect(!client.hasInput(within: 0))
        responder?.send(.text("late"))

        #expect(try client.response().text == "late")
        #expect(try client.response().text == "/next")
      }
    }
  }

  @Test func takesAHeadByteByByte() throws {
    try withServer(pathHandler()) { _, port in
      let client = try TestClient(port: port)

      for byte in "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n".utf8 { try client.send([byte]) }

      #expect(try client.response().text == "/slow")
    }
  }

  @Test func sendsNoBodyToHead() throws {
    try withServer(pathHandler()) { _, port in
      let client = try TestClient(port: port)

      try client.send("HEAD /abc HTTP/1.1\r\nHost: a\r\n\r\nGET /d HTTP/1.1\r\nHost: a\r\n\r\n")

      #expect(try client.response(toHead: true).has("Content-Length: 4"))
      #expect(try client.response().text == "/d")
    }
  }

  @Test func closesAfterHTTP10() throws {
    try withServer(pathHandler()) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET /old HTTP/1.0\r\n\r\n")
      let answer = String(decoding: try client.receiveToEnd(), as: UTF8.self)

      #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
      #expect(answer.contains("\r\nConnection: close\r\n"))
      #expect(answer.hasSuffix("/old"))
    }
  }

  @Test func keepsHTTP10WhenAsked() throws {
    try withServer(pathHandler()) { _, port in
      let client = try TestClient(port: port)

      for _ in 0..<2 {
        try client.send("GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        #expect(try client.response().has("Connection: keep-alive"))
      }
    }
  }

  @Test func closesWhenTheClientOrTheHandlerAsks() throws {
    let handler = TestHandler { head, responder in
      var response = Response.text("x")
      if head.path == "/close" { response.fields.append("Connection", "close") }
      responder.send(response)
      return nil
    }
    try withServer(handler) { _, port in
      for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /close HTTP/1.1\r\nHost: a\r\n\r\n",
      ] {
        let client = try TestClient(port: port)
        try client.send(request)
        #expect(try client.response().has("Connection: close"))
        #expect(try client.receiveToEnd().isEmpty)
      }
    }
  }

  @Test func answersAClientThatEndedItsOutput() throws {
    try withServer(pathHandler()) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET /half HTTP/1.1\r\nHost: a\r\n\r\n")
      client.endOutput()

      #expect(try client.response().text == "/half")
      #expect(try client.receiveToEnd().isEmpty)
    }
  }

  @Test(arguments: ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r"])
  func refusesAHeadThatEndsEarly(start: String) throws {
    try withServer(pathHandler()) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET /whole HTTP/1.1\r\nHost: a\r\n\r\n\(start)")
      client.endOutput()

      #expect(try client.response().text == "/whole")
      let refusal = try client.response()
      #expect(refusal.status == 400)
      #expect(refusal.text == "bad-request-framing")
      #expect(try client.receiveToEnd().isEmpty)
    }
  }

  /// Source: RFC 9112 section 2.2, on clients that send a CRLF too many behind a body.
  @Test(arguments: ["", "\r\n"]) func closesSilentlyBetweenRequests(rest: String) throws {
    try withServer(pathHandler()) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET /whole HTTP/1.1\r\nHost: a\r\n\r\n\(rest)")
      client.endOutput()

      #expect(try client.response().text == "/whole")
      #expect(try client.receiveToEnd().isEmpty)
    }
  }

  @Test func keepsAnEncodedSlashInItsSegment() throws {
    let handler = TestHandler { head, responder in
      responder.send(.text(head.pathSegments.joined(separator: "|")))
      return nil
    }
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET /v1/ids/a%2Fb%2f..%2Fc HTTP/1.1\r\nHost: a\r\n\r\n")

      #expect(try client.response().text == "v1|ids|a/b/../c")
    }
  }

  @Test func answersForAHandlerThatLetGo() throws {
    let handler = TestHandler { _, _ in nil }
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      let response = try client.response()

      #expect(response.status == 500)
      #expect(response.text == "no-response")
    }
  }

  @Test func answersForAResponseThatCannotBeSent() throws {
    let handler = TestHandler { _, responder in
      responder.send(Response(status: 200, fields: HTTPFields([("X", "a\r\nSet-Cookie: b")])))
      return nil
    }
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      let response = try client.response()

      #expect(response.status == 500)
      #expect(response.text == "bad-response")
      #expect(!response.head.contains("Set-Cookie"))
    }
  }

  @Test func reportsWhatWasSent() throws {
    let handler = pathHandler()
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET /abc HTTP/1.1\r\nHost: a\r\n\r\n")
      let response = try client.response()
      let report = handler.reports.next()

      let byteCount = response.head.utf8.count + response.body.count
      #expect(report == TestHandler.Report(method: "GET", status: 200, byteCount: byteCount))
    }
  }

  @Test func refusesBadFramingAndCloses() throws {
    try withServer(pathHandler()) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\nHost: a\n\n")

      #expect(try client.response().text == "/1")
      let refusal = try client.response()
      #expect(refusal.status == 400)
      #expect(refusal.text == "bad-request-framing")
      #expect(try client.receiveToEnd().isEmpty)
    }
  }

  @Test func sendsLargeBodiesWhole() throws {
    let body = (0..<(5 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 8) }
    let handler = TestHandler { _, responder in
      responder.send(Response(status: 200, body: .bytes(body)))
      return nil
    }
    try withServer(handler) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")

      #expect(try client.response().body == body)
    }
  }
}
