// The listening socket: address lookup, bind, accept. Source: man 3 getaddrinfo, man 2 accept4.

internal import CLinux
internal import Foundation
internal import SystemIO

/// A connection that was accepted and not yet given to its loop.
final class AcceptedSocket: Sendable {
  let descriptor: Descriptor
  /// One too many: answered 503 at once.
  let isRefused: Bool

  init(descriptor: consuming Descriptor, isRefused: Bool) {
    self.descriptor = descriptor
    self.isRefused = isRefused
  }
}

enum AcceptOutcome: ~Copyable {
  case socket(Descriptor)
  case nothingWaiting
  /// This process or the machine has no descriptor left.
  case noDescriptorLeft
}

extension HTTPServerError {
  /// Another address of the same name may do: this machine has not this one, or nothing of its family.
  var isOfTheAddressOnly: Bool {
    guard case .bindFailed(_, _, _, let code) = self else { return false }
    return [EADDRNOTAVAIL, EAFNOSUPPORT].contains(code)
  }
}

/// Owns the socket that waits for clients. Of a name with several addresses, it has the first that this machine has.
final class ListenerSocket: Sendable {
  private let descriptor: Descriptor
  let port: UInt16

  var number: Int32 { descriptor.number }

  init(configuration: HTTPServerConfiguration) throws(HTTPServerError) {
    let (host, port) = (configuration.host, configuration.port)
    var hints = unsafe addrinfo()
    unsafe hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
    unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var found: UnsafeMutablePointer<addrinfo>?
    let code = unsafe getaddrinfo(host, String(port), &hints, &found)
    guard code == 0, let address = unsafe found else {
      let reason = unsafe gai_strerror(code).map { unsafe String(cString: $0) }
      throw .unknownHost(host: host, reason: reason ?? "code \(code)")
    }
    defer { unsafe freeaddrinfo(found) }
    var next = unsafe Optional(address)
    var problem: HTTPServerError?
    while let address = unsafe next {
      do throws(HTTPServerError) {
        descriptor = try unsafe Self.bound(to: address.pointee, configuration)
        self.port = Self.boundPort(of: descriptor.number)
        return
      } catch {
        guard error.isOfTheAddressOnly else { throw error }
        problem = problem ?? error
      }
      unsafe next = address.pointee.ai_next
    }
    throw problem ?? .unknownHost(host: host, reason: "no address")
  }

  private static func bound(
    to address: addrinfo, _ configuration: HTTPServerConfiguration
  ) throws(HTTPServerError) -> Descriptor {
    let family = unsafe address.ai_family
    let number = makeSocket(family: family)
    guard number >= 0 else { throw bindError(errno, "socket", configuration) }
    let descriptor = Descriptor(owning: number)
    Socket.setOption(number, level: SOL_SOCKET, SO_REUSEADDR, 1)
    if family == AF_INET6 { Socket.setOption(number, level: IPv6.level, IPV6_V6ONLY, 0) }
    guard unsafe bind(number, address.ai_addr, address.ai_addrlen) == 0 else {
      throw bindError(errno, "bind", configuration)
    }
    guard listen(number, Int32(clamping: configuration.backlogCount)) == 0 else {
      throw bindError(errno, "listen", configuration)
    }
    return descriptor
  }

  /// A new socket, non-blocking and closed on exec, or -1 with errno set. Source: man 2 socket.
  private static func makeSocket(family: Int32) -> Int32 {
    let flags = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    return socket(family, Int32(flags), 0)
  }

  private enum IPv6 { static let level = Int32(IPPROTO_IPV6) }

  static func bindError(
    _ code: Int32, _ operation: String, _ configuration: HTTPServerConfiguration
  ) -> HTTPServerError {
    let (host, port) = (configuration.host, configuration.port)
    return switch code {
    case EMFILE, ENFILE, ENOBUFS, ENOMEM: .noResources(operation: operation, errno: code)
    case EADDRINUSE: .addressInUse(host: host, port: port)
    case EACCES: .permissionDenied(host: host, port: port)
    default: .bindFailed(host: host, port: port, operation: operation, errno: code)
    }
  }

  /// The port is at the same place in the addresses of both families.
  private static func boundPort(of number: Int32) -> UInt16 {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return unsafe withUnsafeMutableBytes(of: &storage) { bytes in
      guard let start = bytes.baseAddress else { return 0 }
      let address = unsafe start.assumingMemoryBound(to: sockaddr.self)
      guard unsafe getsockname(number, address, &length) == 0 else { return 0 }
      return UInt16(bigEndian: unsafe start.loadUnaligned(fromByteOffset: 2, as: UInt16.self))
    }
  }

  /// Takes the next waiting connection, already non-blocking.
  func accept() -> AcceptOutcome {
    while true {
      let number = linux_accept(descriptor.number, nil, nil)
      if number >= 0 {
        Socket.setOption(number, level: Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        return .socket(Descriptor(owning: number))
      }
      switch errno {
      case EAGAIN: return .nothingWaiting
      case EMFILE, ENFILE, ENOBUFS, ENOMEM: return .noDescriptorLeft
      // A client that gave up while it waited is reported here; the next one may be fine.
      case EINTR, ECONNABORTED, EPROTO, EPERM: continue
      default: return .nothingWaiting
      }
    }
  }
}
