// A client that says exactly the bytes it is told to, over a blocking loopback socket.

import Foundation
import SystemIO

struct ClientError: Error, CustomStringConvertible {
  let operation: String
  let code: Int32
  var description: String { "\(operation): errno \(code)" }
}

/// A response as it came over the wire, chunks taken off.
struct ReceivedResponse {
  var status: Int
  var head: String
  var body: [UInt8]
  var text: String { String(decoding: body, as: UTF8.self) }

  func has(_ line: String) -> Bool { head.contains("\r\n\(line)\r\n") }
}

/// Every call fails rather than hangs: sockets time out after ten seconds.
final class TestClient {
  private let number: Int32
  private var buffered: [UInt8] = []
  /// Bytes at the front of `buffered` that are used up.
  private var start = 0
  private var isOpen = true

  /// - Parameters:
  ///   - receiveByteCount: Size of the kernel's receive buffer; small makes a slow reader.
  ///   - leavesNoDescriptor: Lowers the limit of this process to the descriptors that are open now.
  init(port: UInt16, receiveByteCount: Int32? = nil, leavesNoDescriptor: Bool = false) throws {
    // Closed on exec: a process started by another test must not keep the connection alive.
    number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    if leavesNoDescriptor {
      var limit = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      limit.rlim_cur = rlim_t(number + 1)
      setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
    var timeout = timeval(tv_sec: 10, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(
        number, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }
    if var size = receiveByteCount {
      setsockopt(number, SOL_SOCKET, SO_RCVBUF, &size, 4)
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafeBytes(of: &address) {
      connect(
        number, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
    }
    guard result == 0 else {
      let code = errno
      Foundation.close(number)
      isOpen = false
      throw ClientError(operation: "connect", code: code)
    }
  }

  deinit { close() }

  func close() {
    if isOpen { Foundation.close(number) }
    isOpen = false
  }

  /// Ends the sending side only.
  func endOutput() { shutdown(number, Int32(SHUT_WR)) }

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) throws {
    var offset = 0
    while offset < bytes.count {
      let count = bytes.withUnsafeBytes {
        Foundation.send(number, $0.baseAddress! + offset, $0.count - offset, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw ClientError(operation: "send", code: errno) }
      offset += count
    }
  }

  /// Sends from a thread of its own, for more than the kernel keeps.
  func sendElsewhere(_ bytes: [UInt8]) -> NamedThread {
    NamedThread("send") { [number] in
      var rest = bytes[...]
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes {
          Foundation.send(number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
      }
    }
  }

  /// Waits up to so many milliseconds for bytes or the end.
  func hasInput(within milliseconds: Int32) -> Bool {
    var entry = pollfd(fd: number, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, milliseconds) > 0
  }

  /// - Returns: false at the end of the connection.
  private func receive() throws -> Bool {
    var bytes = [UInt8](repeating: 0, count: 256 << 10)
    let count = recv(number, &bytes, bytes.count, 0)
    guard count >= 0 else { throw ClientError(operation: "recv", code: errno) }
    if start > 1 << 20 {
      buffered.removeFirst(start)
      start = 0
    }
    buffered += bytes[..<count]
    return count > 0
  }

  private func take(_ byteCount: Int) throws -> [UInt8] {
    while buffered.count - start < byteCount {
      guard try receive() else { throw ClientError(operation: "recv: early end", code: 0) }
    }
    defer { start += byteCount }
    return Array(buffered[start..<(start + byteCount)])
  }

  private func takeThrough(_ mark: String) throws -> String {
    let mark = Array(mark.utf8)
    var length = mark.count
    while true {
      while start + length <= buffered.count {
        if buffered[..<(start + length)].suffix(mark.count).elementsEqual(mark) {
          return String(decoding: try take(length), as: UTF8.self)
        }
        length += 1
      }
      guard try receive() else { throw ClientError(operation: "recv: early end", code: 0) }
    }
  }

  /// Everything up to the end of the connection.
  func receiveToEnd() throws -> [UInt8] {
    while try receive() {}
    defer { (buffered, start) = ([], 0) }
    return Array(buffered[start...])
  }

  /// The next response, with the body its head announces.
  func response(toHead isHead: Bool = false) throws -> ReceivedResponse {
    let head = try takeThrough("\r\n\r\n")
    let status = Int(head.split(separator: " ")[1]) ?? 0
    var response = ReceivedResponse(status: status, head: head, body: [])
    if isHead || status == 100 || status == 204 { return response }
    if response.has("Transfer-Encoding: chunked") {
      while true {
        let size = Int(try takeThrough("\r\n").dropLast(1), radix: 16) ?? 0
        response.body += try take(size)
        _ = try take(2)
        if size == 0 { return response }
      }
    }
    let length = head.split(separator: "\r\n").first { $0.hasPrefix("Content-Length: ") }
    response.body = try take(length.flatMap { Int($0.dropFirst(16)) } ?? 0)
    return response
  }
}
