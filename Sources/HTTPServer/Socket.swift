// The calls on a connected, non-blocking socket. None of them raises SIGPIPE.

internal import Foundation

/// What a transfer did.
enum Transfer: Equatable {
  case moved(byteCount: Int)
  /// Nothing now; epoll will tell.
  case wouldBlock
  /// The client ended its side; for receiving only.
  case end
  /// The connection is broken.
  case failed
}

enum Socket {
  static func receive(_ number: Int32, into space: UnsafeMutableRawBufferPointer) -> Transfer {
    while true {
      let count = unsafe recv(number, space.baseAddress, space.count, 0)
      if let outcome = outcome(count) { return count == 0 ? .end : outcome }
    }
  }

  /// Throws away up to `byteCount` received bytes without copying them.
  ///
  /// Source: man 7 tcp, "MSG_TRUNC ... the received bytes of data to be discarded".
  static func discard(_ number: Int32, byteCount: Int) -> Transfer {
    while true {
      let count = recv(number, nil, byteCount, Int32(MSG_TRUNC))
      if let outcome = outcome(count) { return count == 0 ? .end : outcome }
    }
  }

  /// - Parameter hasMore: More is about to be sent; the kernel may wait to fill a packet.
  static func send(_ number: Int32, _ bytes: UnsafeRawBufferPointer, hasMore: Bool) -> Transfer {
    let flags = MSG_NOSIGNAL | (hasMore ? MSG_MORE : 0)
    while true {
      let count = unsafe Foundation.send(number, bytes.baseAddress, bytes.count, Int32(flags))
      if let outcome = outcome(count) { return outcome }
    }
  }

  /// - Returns: nil for an interrupted call, which is to be repeated.
  private static func outcome(_ count: Int) -> Transfer? {
    if count >= 0 { return .moved(byteCount: count) }
    return switch errno {
    case EINTR: nil
    case EAGAIN: .wouldBlock
    default: .failed
    }
  }

  /// Tells the client that nothing more will come; it may still send.
  static func endOutput(_ number: Int32) { _ = shutdown(number, Int32(SHUT_WR)) }

  /// Makes the close that follows a reset, so that a cut response is not taken for a whole one.
  static func resetOnClose(_ number: Int32) {
    var option = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(
      number, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }

  /// Options are hints here: a refused one costs speed, not correctness.
  static func setOption(_ number: Int32, level: Int32, _ option: Int32, _ value: Int32) {
    var value = value
    _ = unsafe setsockopt(number, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
  }
}
