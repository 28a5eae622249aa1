// A blocking TCP connection to a server of this machine or another. Source: man 7 tcp, man 3 getaddrinfo.

internal import Glibc
internal import SystemIO

/// Where a server listens.
struct ServerAddress: Sendable {
  var host: String
  var port: UInt16

  init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// `http://HOST`, `http://HOST:PORT`, with or without a slash behind; nil for anything else.
  init?(url: String) {
    guard url.hasPrefix("http://") else { return nil }
    var rest = url.dropFirst("http://".count)
    if rest.last == "/" { rest.removeLast() }
    let portStart = rest.lastIndex(of: ":").flatMap { rest[$0...].contains("]") ? nil : $0 }
    var host = portStart.map { rest[..<$0] } ?? rest
    if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
    let portText = portStart.map { rest[rest.index(after: $0)...] } ?? "80"
    guard let port = UInt16(portText), !host.isEmpty,
      host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") })
    else { return nil }
    self.init(host: String(host), port: port)
  }

  var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

final class ClientSocket: Sendable {
  private let descriptor: Descriptor

  /// A server that says nothing for so long is taken for dead.
  private static let silenceSecondsMax = 60

  init(to address: ServerAddress) throws(BenchError) {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_NUMERICSERV
    var found: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(address.host, String(address.port), &hints, &found)
    guard code == 0, let first = unsafe found else {
      throw BenchError("the host \(address.host) is not known")
    }
    defer { unsafe freeaddrinfo(found) }
    let number = unsafe socket(
      first.pointee.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw .last("socket") }
    descriptor = Descriptor(owning: number)
    guard unsafe connect(number, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 else {
      throw .last("connect to \(address.authority)")
    }
    var noDelay: Int32 = 1
    unsafe _ = setsockopt(
      number, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, socklen_t(MemoryLayout<Int32>.size))
    var timeout = timeval(tv_sec: Self.silenceSecondsMax, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      unsafe _ = setsockopt(
        number, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }
  }

  /// Sends the first `byteCount` bytes.
  ///
  /// - Parameter hasMore: More follows at once; the kernel may wait to fill a packet.
  /// - Returns: False when the server no longer takes them.
  func send(_ bytes: [UInt8], byteCount: Int, hasMore: Bool) -> Bool {
    let flags = Int32(MSG_NOSIGNAL | (hasMore ? MSG_MORE : 0))
    return unsafe bytes.withUnsafeBytes { buffer in
      var done = 0
      while done < byteCount {
        let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[done..<byteCount])
        let count = unsafe Glibc.send(descriptor.number, rest.baseAddress, rest.count, flags)
        if count > 0 { done += count } else if errno != EINTR { return false }
      }
      return true
    }
  }

  /// Receives into `bytes` from `offset` on.
  ///
  /// - Returns: How many bytes came; 0 when the connection ended, broke or was silent for too long.
  func receive(into bytes: inout [UInt8], at offset: Int) -> Int {
    unsafe bytes.withUnsafeMutableBytes { buffer in
      let space = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[offset...])
      while true {
        let count = unsafe recv(descriptor.number, space.baseAddress, space.count, 0)
        if count >= 0 || errno != EINTR { return max(0, count) }
      }
    }
  }
}

extension BenchError {
  /// The last system call failed.
  static func last(_ operation: String) -> BenchError {
    BenchError("\(operation): \(unsafe String(cString: strerror(errno)))")
  }
}
