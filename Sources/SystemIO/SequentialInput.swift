// A file of a user, or what stands for one on a command line, such as the pipe of <(…). Used by Salvage/IDLines.swift.

internal import Glibc

/// Read once, from its start to its end. Symbolic links are followed; a pipe is waited for.
package final class SequentialInput {
  private let path: String
  private let descriptor: Descriptor

  /// - Throws: `EINVAL` for a directory.
  package init(_ path: String) throws(DiskError) {
    let number = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard number >= 0 else { throw .last("open", path) }
    descriptor = Descriptor(owning: number)
    self.path = path
    var status = stat()
    guard unsafe fstat(number, &status) == 0 else { throw .last("fstat", path) }
    guard status.st_mode & S_IFMT != S_IFDIR else {
      throw DiskError(operation: "open (a file or a pipe is expected)", path: path, code: EINVAL)
    }
  }

  /// The next bytes; fewer than were asked for only at the end.
  package func read(byteCount: Int) throws(DiskError) -> [UInt8] {
    var failure: DiskError?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      while count < byteCount {
        let rest = unsafe UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(buffer)[count...])
        let found = unsafe Glibc.read(descriptor.number, rest.baseAddress, rest.count)
        if found == 0 { break }
        if found > 0 {
          count += found
        } else if errno != EINTR {
          failure = .last("read", path)
          break
        }
      }
    }
    if let failure { throw failure }
    return bytes
  }
}
