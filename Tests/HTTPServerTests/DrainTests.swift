// Start, drain and stop.

import Foundation
import HTTPCore
import HTTPServer
import Synchronization
import Testing

@Suite struct DrainTests {
  /// Hands every responder out and answers nothing itself.
  private static func holder(_ held: Signals<Responder>) -> TestHandler {
    TestHandler { _, responder in
      held.add(responder)
      return nil
    }
  }

  /// Drains on a thread of its own; the outcome is signaled.
  private func startDrain(_ server: HTTPServer, deadline: Duration = .seconds(10)) -> Signals<Bool>
  {
    let outcome = Signals<Bool>()
    Thread { outcome.add(server.drain(deadline: deadline)) }.start()
    return outcome
  }

  @Test func finishesWhatIsInFlightAndRefusesWhatIsNew() throws {
    let held = Signals<Responder>()
    try withServer(Self.holder(held)) { server, port in
      let client = try TestClient(port: port)
      let idle = try TestClient(port: port)
      try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      let responder = held.next()

      let outcome = startDrain(server)
      // The idle connection closes once draining has begun, and by then the listener is gone.
      #expect(try idle.receiveToEnd().isEmpty)
      #expect(throws: ClientError.self) { try TestClient(port: port) }
      #expect(outcome.count == 0)
      responder?.send(.text("done"))
      let response = try client.response()

      #expect(response.text == "done")
      #expect(response.has("Connection: close"))
      client.close()
      #expect(outcome.next() == true)
      #expect(server.counters.connectionsOpen.load(ordering: .relaxed) == 0)
    }
  }

  @Test func takesABodyToItsEndWhileDraining() throws {
    let begins = Signals<Bool>()
    let handler = TestHandler { _, _ in BodyKeeper(onReceive: { _ in begins.add(true) }) }
    try withServer(handler) { server, port in
      let client = try TestClient(port: port)
      let idle = try TestClient(port: port)
      try client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
      #expect(begins.next() == true)

      let outcome = startDrain(server)
      #expect(try idle.receiveToEnd().isEmpty)
      try client.send("world")

      #expect(try client.response().text == "helloworld")
      client.close()
      #expect(outcome.next() == true)
    }
  }

  @Test func cutsWhatOutlastsTheDeadline() throws {
    let held = Signals<Responder>()
    try withServer(Self.holder(held)) { server, port in
      let client = try TestClient(port: port)
      try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      let responder = held.next()

      #expect(server.drain(deadline: .milliseconds(50)) == false)

      #expect((try? client.receiveToEnd())?.isEmpty != false)
      responder?.send(.text("late"))
    }
  }

  @Test func drainsAtOnceWhenNothingIsOpen() throws {
    try withServer(pathHandler()) { server, _ in
      #expect(server.drain())
      #expect(server.drain())
    }
  }

  @Test func saysThatAnAddressIsInUse() throws {
    try withServer(pathHandler()) { _, port in
      var configuration = HTTPServerConfiguration()
      configuration.port = port
      let second = HTTPServer(configuration: configuration, handler: pathHandler())

      #expect(throws: HTTPServerError.addressInUse(host: "127.0.0.1", port: port)) {
        try second.start()
      }
      #expect(second.boundPort == nil)
    }
  }

  @Test func saysThatAHostIsUnknown() {
    var configuration = HTTPServerConfiguration()
    configuration.host = "256.1.1.1.invalid"
    let server = HTTPServer(configuration: configuration, handler: pathHandler())

    #expect(throws: HTTPServerError.self) { try server.start() }
  }

  @Test func listensOnBothFamilies() throws {
    try withServer(pathHandler(), .with { $0.host = "::" }) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET /4 HTTP/1.1\r\nHost: a\r\n\r\n")

      #expect(try client.response().text == "/4")
    }
  }

  @Test func diesOfASecondAnswer() async {
    await #expect(processExitsWith: .failure) {
      let handler = TestHandler { _, responder in
        responder.send(.text("1"))
        responder.send(.text("2"))
        return nil
      }
      try withServer(handler) { _, port in
        let client = try TestClient(port: port)
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = try client.receiveToEnd()
      }
    }
  }
}
