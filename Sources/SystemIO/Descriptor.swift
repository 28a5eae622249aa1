// An open file descriptor that closes itself. Used for files (RealFile.swift) and sockets (HTTPServer).

internal import Glibc

/// Owns one descriptor: closed exactly once, when its owner goes away.
@safe
package struct Descriptor: ~Copyable, Sendable {
  /// The number the kernel knows it by; valid as long as this value lives.
  package let number: Int32

  /// Takes over an open descriptor.
  package init(owning number: Int32) {
    precondition(number >= 0, "a descriptor is not negative")
    self.number = number
  }

  /// What the file is called by now; nil when it has no name any more. Source: man 5 proc, "/proc/pid/fd".
  var fileName: String? {
    var bytes = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = unsafe readlink("/proc/self/fd/\(number)", &bytes, bytes.count)
    guard count > 0, count < bytes.count else { return nil }
    let name = String(decoding: bytes[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    return name.hasSuffix(" (deleted)") ? nil : name
  }

  deinit {
    // Linux releases the number even when close fails, so it is never retried. Errors of
    // written data were already seen by fdatasync. Source: man 2 close, "Dealing with error returns".
    _ = Glibc.close(number)
  }
}
