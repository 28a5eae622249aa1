// The calls of CLinux. Alone in their file: its headers and those that Foundation brings along
// define fd_set differently, and a file that imports both does not compile.

internal import CLinux

enum LinuxCalls {
  /// TCP, as address lookups ask for it.
  static var streamType: Int32 { Int32(SOCK_STREAM.rawValue) }

  /// A new socket, non-blocking and closed on exec, or -1 with errno set. Source: man 2 socket.
  static func makeStreamSocket(family: Int32) -> Int32 {
    let flags = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
    return socket(family, Int32(flags), 0)
  }

  /// A new eventfd, non-blocking, or -1 with errno set. Source: man 2 eventfd.
  static func makeEventDescriptor() -> Int32 { linux_eventfd() }

  /// The next waiting connection, non-blocking, or -1 with errno set. Source: man 2 accept4.
  static func accept(listener: Int32) -> Int32 { linux_accept(listener, nil, nil) }
}
