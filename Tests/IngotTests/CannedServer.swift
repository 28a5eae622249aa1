// A server that answers each connection with bytes that a test wrote.

import Foundation
import Synchronization

final class CannedServer: Sendable {
  let port: UInt16
  private let number: Int32
  private let answers: Mutex<[[UInt8]]>
  private let received = Mutex<[[UInt8]]>([])

  /// - Parameter answers: For one connection each, in their order; sent once a request has ended, in small pieces.
  init(_ answers: [[UInt8]]) throws {
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(number, $0, length) == 0 && listen(number, 8) == 0
          && getsockname(number, $0, &length) == 0
      }
    }
    guard bound else { throw POSIXError(.EADDRNOTAVAIL) }
    self.number = number
    port = UInt16(bigEndian: address.sin_port)
    self.answers = Mutex(answers)
    Thread.detachNewThread { [self] in serve() }
  }

  deinit { close(number) }

  /// Everything that came, by connection.
  var requests: [[UInt8]] { received.withLock { $0 } }

  private func serve() {
    while let answer = answers.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) {
      let connection = accept(number, nil, nil)
      guard connection >= 0 else { return }
      let request = Self.read(connection)
      received.withLock { $0.append(request) }
      // Borders between pieces fall everywhere.
      for start in stride(from: 0, to: answer.count, by: 7) {
        _ = answer[start..<min(start + 7, answer.count)].withUnsafeBytes {
          send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
      }
      close(connection)
    }
  }

  /// A head, and a chunked body when the head says so.
  private static func read(_ connection: Int32) -> [UInt8] {
    var request: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65536)
    while true {
      let text = String(decoding: request, as: UTF8.self)
      if text.contains("chunked") ? text.hasSuffix("0\r\n\r\n") : text.contains("\r\n\r\n") {
        return request
      }
      let count = recv(connection, &piece, piece.count, 0)
      guard count > 0 else { return request }
      request += piece[..<count]
    }
  }
}
