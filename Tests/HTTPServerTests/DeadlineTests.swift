// Slow and silent clients, with deadlines short enough to wait for. Where a client has to say something in time, they are
// seconds: it may be held up by all the other tests.

import Foundation
import HTTPCore
import HTTPServer
import Testing

@Suite struct DeadlineTests {
  @Test func answersASlowHead408() throws {
    try withServer(pathHandler(), .with { $0.headDeadline = .seconds(2) }) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET / HTTP/1.1\r\nHo")
      let response = try client.response()

      #expect(response.status == 408)
      #expect(response.text == "head-too-slow")
      #expect(response.has("Connection: close"))
      #expect(try client.receiveToEnd().isEmpty)
    }
  }

  @Test func measuresTheHeadFromItsFirstByteHoweverItDribbles() throws {
    try withServer(pathHandler(), .with { $0.headDeadline = .seconds(2) }) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET / HTTP/1.1\r\nHost: a\r\nX: ")
      for _ in 0..<500 where !client.hasInput(within: 20) { try client.send("x") }

      #expect(try client.response().status == 408)
    }
  }

  @Test func answersAStalledBody408AndDropsItsReceiver() throws {
    let drops = Signals<Bool>()
    let handler = TestHandler { _, _ in BodyKeeper(onDrop: { drops.add(true) }) }
    try withServer(handler, .with { $0.bodyIdleDeadline = .milliseconds(100) }) { _, port in
      let client = try TestClient(port: port)

      try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
      let response = try client.response()

      #expect(response.status == 408)
      #expect(response.text == "body-stalled")
      #expect(drops.next() == true)
      #expect(handler.reports.next()?.status == 408)
    }
  }

  @Test func answersABodyBelowTheMinimumRate408() throws {
    let handler = TestHandler { _, _ in BodyKeeper() }
    let configure = { (configuration: inout HTTPServerConfiguration) in
      configuration.bodyRateGrace = .milliseconds(100)
      configuration.bodyBytesPerSecondMin = 1 << 20
      configuration.discardDeadline = .milliseconds(200)
    }
    try withServer(handler, .with(configure)) { _, port in
      let client = try TestClient(port: port)

      try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")

      #expect(try client.response().text == "body-too-slow")
    }
  }

  @Test func closesAConnectionThatNeverSaysAnything() throws {
    try withServer(pathHandler(), .with { $0.headDeadline = .milliseconds(100) }) { _, port in
      let silent = try TestClient(port: port)

      #expect(try silent.receiveToEnd().isEmpty)
    }
  }

  @Test func closesAConnectionThatFellSilentBetweenRequests() throws {
    try withServer(pathHandler(), .with { $0.keepAliveDeadline = .milliseconds(100) }) { _, port in
      let idle = try TestClient(port: port)

      try idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try idle.response().status == 200)

      #expect(try idle.receiveToEnd().isEmpty)
    }
  }

  @Test func givesTheHandlerAllTheTimeItTakes() throws {
    let held = Signals<Responder>()
    let handler = TestHandler { _, responder in
      held.add(responder)
      return nil
    }
    let configure = { (configuration: inout HTTPServerConfiguration) in
      configuration.headDeadline = .seconds(2)
      configuration.keepAliveDeadline = .milliseconds(50)
    }
    try withServer(handler, .with(configure)) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      let responder = held.next()
      // A silent neighbor, accepted later, meets its deadline: so has every other by then.
      let neighbor = try TestClient(port: port)
      #expect(try neighbor.receiveToEnd().isEmpty)
      responder?.send(.text("done"))

      #expect(try client.response().text == "done")
    }
  }

  @Test func abortsAResponseThatNobodyTakes() throws {
    let handler = TestHandler { _, responder in
      responder.send(Response(status: 200, body: .bytes([UInt8](repeating: 1, count: 64 << 20))))
      return nil
    }
    try withServer(handler, .with { $0.writeStallDeadline = .milliseconds(200) }) { _, port in
      let client = try TestClient(port: port, receiveByteCount: 4096)

      try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      let report = handler.reports.next()

      #expect((report?.byteCount ?? .max) < 64 << 20)
      #expect(throws: ClientError.self) { try client.response() }
    }
  }

  @Test func stopsDiscardingAfterItsDeadline() throws {
    let handler = TestHandler { _, responder in
      responder.send(.text("no", status: 404))
      return nil
    }
    try withServer(handler, .with { $0.discardDeadline = .milliseconds(100) }) { _, port in
      let client = try TestClient(port: port)

      try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n")
      #expect(try client.response().status == 404)
      // The server closes although the client never does: sending fails at last.
      #expect(throws: ClientError.self) {
        while true {
          try client.send([1])
          usleep(10_000)
        }
      }
    }
  }
}
