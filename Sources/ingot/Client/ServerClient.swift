// Requests to a server over one connection, sent again when that can help. JSON answers: ServerClient+JSON.swift.
// Answers into files: ServerClient+Download.swift.

import Foundation
import SystemIO

/// One server as a command sees it. Used by one thread at a time.
final class ServerClient {
  let address: ServerAddress
  private let policy: RetryPolicy
  /// Tells people why it takes longer.
  private let note: (String) -> Void
  private var connection: Connection?

  private struct Connection {
    let socket: ClientSocket
    var reader = ResponseReader()
    /// An answer has come over it.
    var isProven = false
  }

  /// What a server has answered: the head of its answer, and the trailer fields with their names in lower case.
  struct Answer {
    let head: ResponseHead
    let trailers: [(name: String, value: String)]
  }

  /// Where an answer's body goes, piece by piece. Each piece is only lent.
  typealias Sink = (UnsafeRawBufferPointer) throws(DiskError) -> Void

  /// Told of the head of an answer before its body is lent; may refuse it.
  typealias Begin = (ResponseHead) throws(ClientError) -> Void

  /// Of a problem document that is read.
  private static let problemByteCountMax = 1 << 20

  init(
    _ address: ServerAddress, policy: RetryPolicy,
    note: @escaping (String) -> Void = StandardError.write(line:)
  ) {
    self.address = address
    self.policy = policy
    self.note = note
  }

  /// Sends a request until it has an answer, as long as trying again can help.
  ///
  /// Once a byte of the body was lent, it is not tried again.
  ///
  /// - Parameters:
  ///   - accepting: Statuses that are no refusal, whose bodies are lent; all below 400 are none.
  /// - Throws: ``ClientError/refused(_:)`` for every other status.
  @safe
  func send(
    _ request: ClientRequest, accepting: [Int] = [], begin: Begin = { _ in },
    _ take: Sink
  ) throws(ClientError) -> Answer {
    var failureCount = 0
    var waited = Duration.zero
    while true {
      var isBegun = false
      let isReused = connection?.isProven ?? false
      do throws(ClientError) {
        return try exchange(request, accepting: accepting, begin: begin) {
          piece throws(DiskError) in
          isBegun = true
          try unsafe take(piece)
        }
      } catch {
        guard !isBegun, canHelp(request, error) else { throw error }
        // The server closes a connection that waits for long, and the request may have crossed that.
        if case .lost = error, isReused { continue }
        failureCount += 1
        guard
          let delay = policy.delay(
            failureCount: failureCount, waited: waited, asked: error.retryAfter)
        else { throw error }
        note("\(error); trying again in \(delay.seconds.rounded(digits: 2)) s")
        Thread.sleep(forTimeInterval: delay.seconds)
        waited += delay
      }
    }
  }

  /// What a server did of a request whose answer was lost is not known.
  private func canHelp(_ request: ClientRequest, _ error: ClientError) -> Bool {
    if case .lost = error { return request.isIdempotent }
    return error.isRetryable
  }

  @safe
  private func exchange(
    _ request: ClientRequest, accepting: [Int], begin: Begin, _ take: Sink
  ) throws(ClientError) -> Answer {
    var used: Connection
    if let connection {
      used = connection
    } else {
      used = Connection(socket: try ClientSocket(to: address))
    }
    // Whatever goes wrong leaves the connection in the middle of something.
    connection = nil
    let sender = try RequestSender(request, to: used.socket, authority: address.authority)
    defer { sender.end() }
    let head = try used.reader.readHead(from: used.socket)
    var problem: [UInt8]?
    if head.status >= 400, !accepting.contains(head.status) {
      problem = []
    } else {
      try begin(head)
    }
    let trailers = try used.reader.readBody(of: head, from: used.socket) {
      piece throws(DiskError) in
      guard let known = problem?.count else { return try unsafe take(piece) }
      unsafe problem?.append(contentsOf: piece.prefix(Self.problemByteCountMax - known))
    }
    used.isProven = true
    if sender.end(), head.keepsConnection { connection = used }
    if let problem {
      let name = "\(request.method) \(request.path)"
      throw .refused(ServerProblem(request: name, head: head, content: problem))
    }
    return Answer(head: head, trailers: trailers)
  }
}
