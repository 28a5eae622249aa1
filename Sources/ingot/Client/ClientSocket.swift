// A blocking TCP connection to a server of this machine or another. Source: man 7 tcp, man 3 getaddrinfo.

internal import Glibc
internal import SystemIO

final class ClientSocket: Sendable {
  private let descriptor: Descriptor

  /// A server that says nothing for so long is taken for dead.
  private static let silenceSecondsMax = 60

  /// Connects to the first address of the host that answers.
  init(to address: ServerAddress) throws(ClientError) {
    var hints = unsafe addrinfo()
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    unsafe hints.ai_flags = AI_NUMERICSERV
    var found: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(address.host, String(address.port), &hints, &found)
    guard code == 0, unsafe found != nil else {
      throw .lost("the host \(address.host) is not known")
    }
    defer { unsafe freeaddrinfo(found) }
    var failure = ""
    var next = unsafe found
    while let candidate = unsafe next {
      let number = unsafe socket(
        candidate.pointee.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      guard number >= 0 else { throw .lost("socket: \(Self.lastErrorText)") }
      let opened = Descriptor(owning: number)
      Self.setOptions(number)
      let status = unsafe connect(number, candidate.pointee.ai_addr, candidate.pointee.ai_addrlen)
      if status == 0 {
        descriptor = opened
        return
      }
      failure = Self.lastErrorText
      unsafe next = candidate.pointee.ai_next
    }
    throw .lost("connect to \(address.authority): \(failure)")
  }

  /// The time limits hold for connecting, too. Source: man 7 socket.
  private static func setOptions(_ number: Int32) {
    var noDelay: Int32 = 1
    unsafe _ = setsockopt(
      number, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, socklen_t(MemoryLayout<Int32>.size))
    var timeout = timeval(tv_sec: silenceSecondsMax, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      unsafe _ = setsockopt(
        number, SOL_SOCKET, option, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }
  }

  private static var lastErrorText: String { unsafe String(cString: strerror(errno)) }

  /// Sends the first `byteCount` bytes.
  ///
  /// - Parameter hasMore: More follows at once; the kernel may wait to fill a packet.
  /// - Returns: False when the server no longer takes them.
  func send(_ bytes: [UInt8], byteCount: Int, hasMore: Bool) -> Bool {
    unsafe bytes.withUnsafeBytes {
      unsafe send(UnsafeRawBufferPointer(rebasing: $0[..<byteCount]), hasMore: hasMore)
    }
  }

  @safe
  func send(_ bytes: UnsafeRawBufferPointer, hasMore: Bool) -> Bool {
    let flags = Int32(MSG_NOSIGNAL | (hasMore ? MSG_MORE : 0))
    var done = 0
    while done < bytes.count {
      let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
      let count = unsafe Glibc.send(descriptor.number, rest.baseAddress, rest.count, flags)
      if count > 0 { done += count } else if errno != EINTR { return false }
    }
    return true
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

  /// Nothing more is sent or received: whoever waits on the socket goes on.
  func shutDown() { _ = shutdown(descriptor.number, Int32(SHUT_RDWR)) }
}
