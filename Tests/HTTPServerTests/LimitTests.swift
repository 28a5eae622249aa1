// What is too much: connections, heads, descriptors; and how connections are spread over loops.

import Foundation
import HTTPCore
import HTTPServer
import Synchronization
import Testing

@Suite struct LimitTests {
  @Test func answers503BeyondTheConnectionLimit() throws {
    try withServer(pathHandler(), .with { $0.connectionCountMax = 2 }) { server, port in
      let clients = [try TestClient(port: port), try TestClient(port: port)]
      for client in clients {
        try client.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
        #expect(try client.response().status == 200)
      }

      let refused = try TestClient(port: port)
      let response = try refused.response()

      #expect(response.status == 503)
      #expect(response.text == "too-many-connections")
      #expect(response.has("Connection: close"))
      #expect(try refused.receiveToEnd().isEmpty)
      #expect(server.counters.connectionsRefusedTotal.load(ordering: .relaxed) == 1)
      try clients[0].send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(try clients[0].response().text == "/2")
    }
  }

  @Test func refusesAHeadThatDoesNotEnd() throws {
    try withServer(pathHandler()) { _, port in
      let client = try TestClient(port: port)

      try client.send("GET / HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "x", count: 1 << 20))

      #expect(try client.response().status == 431)
    }
  }

  @Test func takesAHeadOfExactlyTheLimit() throws {
    try withServer(pathHandler()) { _, port in
      let client = try TestClient(port: port)
      let start = "GET /big HTTP/1.1\r\nHost: a\r\nX: "
      let filler = String(repeating: "x", count: (16 << 10) - start.utf8.count - 4)

      for _ in 0..<2 { try client.send(start + filler + "\r\n\r\n") }

      for _ in 0..<2 { #expect(try client.response().text == "/big") }
    }
  }

  @Test func dealsConnectionsToLoopsInTurn() throws {
    let handler = TestHandler { _, responder in
      // The kernel's name of the thread: what top and a core dump show.
      let name = try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
      responder.send(.text(name ?? "none"))
      return nil
    }
    try withServer(handler) { _, port in
      var names: [String: Int] = [:]
      var clients: [TestClient] = []

      for _ in 0..<4 {
        let client = try TestClient(port: port)
        try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        names[try client.response().text, default: 0] += 1
        clients.append(client)
      }

      #expect(names == ["ingot-http-0\n": 2, "ingot-http-1\n": 2])
    }
  }

  @Test func countsBytesBothWays() throws {
    let handler = pathHandler()
    try withServer(handler) { server, port in
      let client = try TestClient(port: port)
      let request = "GET /abc HTTP/1.1\r\nHost: a\r\n\r\n"

      try client.send(request)
      let response = try client.response()
      try client.send(request)
      _ = try client.response()
      for _ in 0..<2 { _ = handler.reports.next() }

      let counters = server.counters
      let byteCount = response.head.utf8.count + response.body.count
      #expect(counters.receivedBytesTotal.load(ordering: .relaxed) == 2 * request.utf8.count)
      #expect(counters.sentBytesTotal.load(ordering: .relaxed) == 2 * byteCount)
    }
  }

  /// In a process of its own, since other tests open descriptors too.
  @Test func leavesNoSocketOpen() async {
    await #expect(processExitsWith: .success) {
      func openCount() throws -> Int {
        // Sockets only: the runtime opens an epoll or an eventfd of its own when it likes.
        let folder = "/proc/self/fd"
        return try FileManager.default.contentsOfDirectory(atPath: folder).count { name in
          let path = "\(folder)/\(name)"
          let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path)
          return target?.hasPrefix("socket:") == true
        }
      }
      let requests = [
        "", "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "bad\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
      ]
      // Threads, time zones and the like open theirs once.
      try withServer(pathHandler()) { _, port in _ = try TestClient(port: port) }
      let before = try openCount()
      for endsInDrain in [true, false] {
        try withServer(pathHandler()) { server, port in
          for index in 0..<60 {
            let client = try TestClient(port: port)
            try client.send(requests[index % requests.count])
            if index % 2 == 0 { client.endOutput() }
          }
          if endsInDrain { server.drain() }
        }
      }
      // The last references of a thread go a moment after it has signaled its end.
      for _ in 0..<1000 where try openCount() > before { usleep(10_000) }
      try #require(try openCount() <= before)
    }
  }

  /// In a process of its own, since the limit of descriptors is one of the process.
  @Test func servesOnWhileNoDescriptorIsLeft() async {
    await #expect(processExitsWith: .success) {
      try withServer(pathHandler(), .with { $0.loopCount = 1 }) { server, port in
        let served = try TestClient(port: port)
        try served.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
        try #require(try served.response().text == "/1")
        let waiting = try TestClient(port: port)
        try waiting.send("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        try #require(try waiting.response().text == "/2")
        func processorSeconds() throws -> Double {
          let before = clock()
          for _ in 0..<20 {
            try served.send("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
            try #require(try served.response().text == "/3")
            usleep(10_000)
          }
          return Double(clock() - before) / Double(CLOCKS_PER_SEC)
        }
        let usual = try processorSeconds()
        // The next client's own socket takes the last descriptor.
        let last = try TestClient(port: port, leavesNoDescriptor: true)

        // A loop that spins uses all of the 200 ms at least.
        try #require(try processorSeconds() < usual + 0.15)
        try #require(server.counters.connectionsAcceptedTotal.load(ordering: .relaxed) == 2)
        waiting.close()
        try last.send("GET /4 HTTP/1.1\r\nHost: a\r\n\r\n")
        try #require(try last.response().text == "/4")
      }
    }
  }
}
