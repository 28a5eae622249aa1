// A handler made of closures, a receiver that keeps the body, and a server around them.

import Dispatch
import Foundation
import HTTPCore
import HTTPServer
import Synchronization
import Testing

final class TestHandler: RequestHandler {
  typealias Begin = @Sendable (RequestHead, Responder) -> (any BodyReceiver)?
  struct Report: Equatable {
    var method: String
    var status: Int
    var byteCount: Int
  }

  let reports = Signals<Report>()
  private let onBegin: Begin

  init(_ onBegin: @escaping Begin) { self.onBegin = onBegin }

  func begin(_ head: RequestHead, _ responder: Responder) -> (any BodyReceiver)? {
    onBegin(head, responder)
  }

  func didRespond(to head: RequestHead, status: Int, duration: Duration, responseByteCount: Int) {
    reports.add(Report(method: head.method, status: status, byteCount: responseByteCount))
  }

  func refusal(_ error: HTTPError) -> Response { .text(error.code, status: error.status) }
}

/// What happened on other threads, to wait for.
final class Signals<Value: Sendable>: Sendable {
  private let values = Mutex<[Value]>([])
  private let semaphore = DispatchSemaphore(value: 0)

  func add(_ value: Value) {
    values.withLock { $0.append(value) }
    semaphore.signal()
  }

  var count: Int { values.withLock { $0.count } }
  var all: [Value] { values.withLock { $0 } }

  /// The next value; nil, and a recorded issue, when none comes within ten seconds.
  func next() -> Value? {
    guard semaphore.wait(timeout: .now() + 10) == .success else {
      Issue.record("nothing was signaled")
      return nil
    }
    return values.withLock { $0.removeFirst() }
  }
}

/// Keeps the whole body in memory, lends at most `pieceByteCount` at once.
final class BodyKeeper: BodyReceiver {
  private let onFinish: ([UInt8], Responder) -> Void
  private let onReceive: (Int) throws(Refusal) -> Void
  private let onDrop: () -> Void
  private let space: UnsafeMutableRawBufferPointer
  private var bytes: [UInt8] = []

  init(
    pieceByteCount: Int = 1 << 20, onReceive: @escaping (Int) throws(Refusal) -> Void = { _ in },
    onDrop: @escaping () -> Void = {},
    onFinish: @escaping ([UInt8], Responder) -> Void = {
      $1.send(.text(String(decoding: $0, as: UTF8.self)))
    }
  ) {
    self.onFinish = onFinish
    self.onReceive = onReceive
    self.onDrop = onDrop
    space = .allocate(byteCount: pieceByteCount, alignment: 16)
  }

  deinit {
    space.deallocate()
    onDrop()
  }

  func space(forAtMost byteCount: Int) throws(Refusal) -> UnsafeMutableRawBufferPointer { space }

  func didReceive(byteCount: Int) throws(Refusal) {
    bytes += space[..<byteCount]
    try onReceive(bytes.count)
  }

  func finish(_ responder: Responder) { onFinish(bytes, responder) }
}

extension Response {
  static func text(_ text: String, status: Int = 200) -> Response {
    Response(
      status: status, fields: HTTPFields([("Content-Type", "text/plain")]),
      body: .bytes(Array(text.utf8)))
  }
}

extension HTTPServerConfiguration {
  /// The defaults on two loops, and what the test changes.
  static func with(_ change: (inout HTTPServerConfiguration) -> Void) -> HTTPServerConfiguration {
    var configuration = HTTPServerConfiguration()
    configuration.loopCount = 2
    change(&configuration)
    return configuration
  }
}

/// Runs a server on a port of its own for the length of `body`.
func withServer(
  _ handler: TestHandler, _ configuration: HTTPServerConfiguration = .with { _ in },
  _ body: (HTTPServer, UInt16) throws -> Void
) throws {
  let server = HTTPServer(configuration: configuration, handler: handler)
  try server.start()
  defer { server.stop() }
  try body(server, try #require(server.boundPort))
}

/// Answers every request at once with its path.
func pathHandler() -> TestHandler {
  TestHandler { head, responder in
    responder.send(.text(head.path))
    return nil
  }
}
