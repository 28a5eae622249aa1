// How a failed system call reads, and which of them mean that there is no room.

internal import Glibc
internal import SystemPackage

extension DiskError {
  package var description: String { "\(operation) \(path): \(Errno(rawValue: code))" }

  /// No blocks, no inodes, a quota, or a limit on the size of files.
  package var isOutOfSpace: Bool { [ENOSPC, EDQUOT, EFBIG].contains(code) }

  /// This process or the machine has no descriptor left.
  package var isOutOfDescriptors: Bool { [EMFILE, ENFILE].contains(code) }

  /// The process or the machine lacks something for a while, which says nothing of the file.
  package var isShortage: Bool { isOutOfDescriptors || code == ENOMEM }

  /// The file system has no such call.
  package var isUnsupported: Bool { [EOPNOTSUPP, ENOSYS, EINVAL].contains(code) }

  /// This user may not, or nobody may here: which says nothing of the file.
  package var isDenied: Bool { [EACCES, EPERM, EROFS].contains(code) }

  package var isNotFound: Bool { code == ENOENT }

  package var isAlreadyThere: Bool { code == EEXIST }

  /// What would be replaced is not to be lost.
  package static func alreadyThere(_ operation: String, _ path: String) -> DiskError {
    DiskError(operation: operation, path: path, code: EEXIST)
  }

  /// There is room, and it is not to be used up.
  package static func noSpace(_ operation: String, _ path: String) -> DiskError {
    DiskError(operation: operation, path: path, code: ENOSPC)
  }

  /// What was read back is not what was written.
  package static func differs(_ path: String) -> DiskError {
    DiskError(operation: "read back", path: path, code: EIO)
  }

  /// A file that is longer than any of its kind can be.
  package static func tooLong(_ path: String, _ byteCount: Int) -> DiskError {
    DiskError(operation: "read \(byteCount) bytes of", path: path, code: EOVERFLOW)
  }

  package static func last(_ operation: String, _ path: String) -> DiskError {
    DiskError(operation: operation, path: path, code: errno)
  }
}
