// Ways to give bytes a second name or a second file without copying them. Used by IngestService/Backup.

internal import CLinux
internal import Glibc

/// Which file or directory a name stands for, whatever the name.
package struct FileIdentity: Hashable, Sendable {
  package let device: UInt64
  package let inode: UInt64
}

extension RealDisk {
  /// What a name stands for; symbolic links are followed. Nil when there is nothing of that name.
  package func identity(of path: String) throws(DiskError) -> FileIdentity? {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      if errno == ENOENT { return nil }
      throw .last("stat", path)
    }
    return FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
  }

  /// The absolute path without symbolic links, `.` and `..`.
  package func realPath(of path: String) throws(DiskError) -> String {
    guard let resolved = unsafe realpath(path, nil) else { throw .last("realpath", path) }
    defer { unsafe free(resolved) }
    return unsafe String(cString: resolved)
  }

  /// Makes a new file that shares all blocks of another until one of them is written.
  ///
  /// - Returns: false where that is not possible: another file system, or one without shared blocks.
  package func clone(_ path: String, to newPath: String) throws(DiskError) -> Bool {
    let source = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard source >= 0 else { throw .last("open", path) }
    let from = Descriptor(owning: source)
    let target = unsafe Glibc.open(newPath, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard target >= 0 else { throw .last("open", newPath) }
    let to = Descriptor(owning: target)
    if linux_clone_file(to.number, from.number) == 0 { return true }
    let error = DiskError.last("ioctl(FICLONE)", newPath)
    try removeFile(newPath)
    guard error.isUnsupported || [EXDEV, ENOTTY, EPERM].contains(error.code) else { throw error }
    return false
  }

  /// Gives a file a second name.
  ///
  /// - Returns: false where that is not possible: another file system, one without hard links, a file
  ///   of somebody else, or one with too many names.
  package func link(_ path: String, to newPath: String) throws(DiskError) -> Bool {
    if unsafe Glibc.link(path, newPath) == 0 { return true }
    let error = DiskError.last("link", newPath)
    guard error.isUnsupported || [EXDEV, EPERM, EMLINK].contains(error.code) else { throw error }
    return false
  }
}
