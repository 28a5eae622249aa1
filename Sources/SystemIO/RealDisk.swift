// The disk of this machine. Files: RealFile.swift.

internal import CLinux
internal import Glibc

/// Linux file systems, called directly. Source: section 2 of the man pages.
package struct RealDisk: Disk {
  package init() {}

  package func createFile(_ path: String) throws(DiskError) -> any DiskFile {
    try open(path, flags: O_RDWR | O_CREAT | O_EXCL)
  }

  package func openFile(_ path: String, for access: FileAccess) throws(DiskError) -> any DiskFile {
    try open(path, flags: access == .read ? O_RDONLY : O_RDWR)
  }

  /// `O_NONBLOCK` keeps a pipe that somebody put in a file's place from blocking the open.
  private func open(_ path: String, flags: Int32) throws(DiskError) -> any DiskFile {
    let number = unsafe Glibc.open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o644)
    guard number >= 0 else { throw .last("open", path) }
    let descriptor = Descriptor(owning: number)
    var status = stat()
    guard unsafe fstat(number, &status) == 0 else { throw .last("fstat", path) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw DiskError(operation: "open (a regular file is expected)", path: path, code: EINVAL)
    }
    return RealFile(descriptor, path: path)
  }

  package func makeDirectory(_ path: String) throws(DiskError) {
    guard unsafe mkdir(path, 0o755) == 0 else { throw .last("mkdir", path) }
  }

  package func rename(_ path: String, to newPath: String) throws(DiskError) {
    guard unsafe Glibc.rename(path, newPath) == 0 else { throw .last("rename", path) }
  }

  package func exchange(_ path: String, with otherPath: String) throws(DiskError) {
    guard unsafe linux_exchange(path, otherPath) == 0 else { throw .last("renameat2", path) }
  }

  package func removeFile(_ path: String) throws(DiskError) {
    guard unsafe unlink(path) == 0 else { throw .last("unlink", path) }
  }

  package func removeDirectory(_ path: String) throws(DiskError) {
    guard unsafe rmdir(path) == 0 else { throw .last("rmdir", path) }
  }

  package func names(inDirectory path: String) throws(DiskError) -> [String] {
    guard let directory = unsafe opendir(path) else { throw .last("opendir", path) }
    defer { unsafe _ = closedir(directory) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = unsafe readdir(directory) else { break }
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
        unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    guard errno == 0 else { throw .last("readdir", path) }
    return names.sorted()
  }

  package func kind(of path: String) throws(DiskError) -> FileKind? {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else {
      if errno == ENOENT { return nil }
      throw .last("lstat", path)
    }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return .file
    case S_IFDIR: return .directory
    default: return .other
    }
  }

  package func syncDirectory(_ path: String) throws(DiskError) {
    let directory = try Self.openDirectory(path)
    guard fsync(directory.number) == 0 else { throw .last("fsync", path) }
    try directory.proveThatChangesAreKept(path)
  }

  package func space(at path: String) throws(DiskError) -> DiskSpace {
    var status = statvfs()
    guard unsafe statvfs(path, &status) == 0 else { throw .last("statvfs", path) }
    // Network file systems have claimed numbers whose product is beyond 64 bits; sums of it are to fit as well.
    let byteCountMax = 1 << 62
    func byteCount(_ blockCount: UInt) -> Int {
      let (product, isBeyond) = blockCount.multipliedReportingOverflow(by: status.f_frsize)
      return isBeyond ? byteCountMax : min(byteCountMax, Int(clamping: product))
    }
    return DiskSpace(
      freeByteCount: byteCount(status.f_bavail), totalByteCount: byteCount(status.f_blocks),
      freeInodeCount: status.f_files == 0 ? nil : Int(clamping: status.f_favail))
  }

  /// A file that has no name, and is gone when it is closed. Source: man 2 open, "O_TMPFILE".
  static func unnamedFile(inDirectory path: String) throws(DiskError) -> any DiskFile {
    let number = unsafe linux_open_unnamed(path)
    guard number >= 0 else { throw .last("open (O_TMPFILE)", path) }
    return RealFile(Descriptor(owning: number), path: path)
  }

  static func openDirectory(_ path: String) throws(DiskError) -> Descriptor {
    let number = unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard number >= 0 else { throw .last("open", path) }
    return Descriptor(owning: number)
  }
}
