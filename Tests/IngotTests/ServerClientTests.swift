// What a command does with the answers of a server.

import Foundation
import SystemIO
import Testing

@testable import ingot

@Suite struct ServerClientTests {
  /// A million bytes and more, in chunks of all sizes.
  private static let content = (0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 &* 7) }

  private static func chunked(_ content: [UInt8], digest: String?) -> [UInt8] {
    var answer = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
    var start = 0
    while start < content.count {
      let end = min(start * 3 + 1, content.count)
      answer += Array("\(String(end - start, radix: 16))\r\n".utf8) + content[start..<end]
      answer += Array("\r\n".utf8)
      start = end
    }
    let trailer = digest.map { "Content-Digest: crc32c=:\($0):\r\n" } ?? ""
    return answer + Array("0\r\n\(trailer)\r\n".utf8)
  }

  private func client(_ server: CannedServer, _ policy: RetryPolicy = .once) -> ServerClient {
    ServerClient(ServerAddress(host: "127.0.0.1", port: server.port), policy: policy) { _ in }
  }

  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  @Test func downloadsChunksAndVerifiesTheDigestBehindThem() throws {
    let digest = CRC32C.of(Self.content).digestText
    let server = try CannedServer([Self.chunked(Self.content, digest: digest)])
    try withFolder { folder in
      let download = try client(server).download(
        ClientRequest("GET", "/export"), to: folder + "/x.npy")

      #expect(download.isVerified && download.byteCount == Self.content.count)
      #expect(FileManager.default.contents(atPath: folder + "/x.npy") == Data(Self.content))
      #expect(FileManager.default.subpaths(atPath: folder) == ["x.npy"])
    }
  }

  @Test("leaves no file after", arguments: ["digest", "end", "chunk", "refusal"])
  func leavesNoFile(after fault: String) throws {
    var answer = Self.chunked(Self.content, digest: CRC32C.of(Self.content).digestText)
    switch fault {
    case "digest": answer = Self.chunked(Self.content, digest: "AAAAAA==")
    case "end": answer.removeLast(5)
    case "chunk": answer[answer.count - 60] = UInt8(ascii: "x")
    default:
      let problem = #"{"code":"some-code","detail":"some reason","retryable":false}"#
      answer = Array(
        "HTTP/1.1 404 Not Found\r\nContent-Length: \(problem.utf8.count)\r\n\r\n\(problem)".utf8)
    }
    let server = try CannedServer([answer])
    try withFolder { folder in
      let error = #expect(throws: ClientError.self) {
        try client(server).download(ClientRequest("GET", "/export"), to: folder + "/x.npy")
      }

      #expect(FileManager.default.subpaths(atPath: folder) == [])
      if fault == "refusal" {
        #expect(
          "\(error, default: "")" == "GET /export was answered with 404 some-code: some reason")
      }
    }
  }

  @Test func readsTheAnswerWhileABodyIsStreamed() throws {
    let server = try CannedServer([
      Array("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]".utf8)
    ])
    var request = ClientRequest("POST", "/missing")
    request.body = .stream {
      let rest = Monitor(["a\n", "b\n", "c\n"])
      return { rest.withLock { $0.isEmpty ? nil : Array($0.removeFirst().utf8) } }
    }

    #expect(try client(server).document(of: request, as: [String].self) == [])

    let sent = String(decoding: try #require(server.requests.first), as: UTF8.self)
    #expect(sent.hasSuffix("\r\n\r\n2\r\na\n\r\n2\r\nb\n\r\n2\r\nc\n\r\n0\r\n\r\n"))
  }

  @Test func repeatsARequestWhoseConnectionWasLostOnlyWhenThatDoesNoHarm() throws {
    let good = Array("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1".utf8)
    let policy = RetryPolicy(patience: .seconds(1), firstDelay: .milliseconds(1))

    let server = try CannedServer([[], good])
    #expect(try client(server, policy).get("/x", as: Int.self) == 1)
    #expect(server.requests.count == 2)

    let other = try CannedServer([[], good])
    #expect(throws: ClientError.self) {
      try client(other, policy).document("POST", "/v1/scrubs", json: nil, as: Int.self)
    }
    #expect(other.requests.count == 1)
  }
}

@Suite struct RetryPolicyTests {
  private let policy = RetryPolicy(patience: .seconds(60))

  @Test func doublesTheDelayUpToItsLimit() {
    let delays = (1...9).map { policy.delay(failureCount: $0, waited: .zero, asked: nil) }

    #expect(
      delays == [0.25, 0.5, 1, 2, 4, 8, 15, 15, 15].map { Duration.milliseconds(Int($0 * 1000)) })
  }

  @Test func honorsWhatTheServerAsksForWithinThePatience() {
    #expect(policy.delay(failureCount: 1, waited: .zero, asked: .seconds(30)) == .seconds(30))
    #expect(policy.delay(failureCount: 1, waited: .zero, asked: .seconds(90)) == .seconds(60))
    #expect(policy.delay(failureCount: 9, waited: .seconds(50), asked: nil) == .seconds(10))
  }

  @Test func givesUpWhenThePatienceIsUsedUp() {
    #expect(policy.delay(failureCount: 9, waited: .seconds(60), asked: .seconds(1)) == nil)
    #expect(RetryPolicy.once.delay(failureCount: 1, waited: .zero, asked: nil) == nil)
  }
}
