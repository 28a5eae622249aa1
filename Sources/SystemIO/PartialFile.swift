// A file that has its name only once it is complete. Written by `ingot export`, and by way of Salvage/NewFile.swift.

internal import CLinux
internal import Glibc

/// Written from its start to its end under the name `NAME.part`, then given its name.
///
/// Removed when it goes away without it; after a crash the next one of that name takes its place.
package final class PartialFile {
  /// The name that it gets.
  package let path: String
  package private(set) var byteCount = 0
  private let replaces: Bool
  private let file: RealFile
  private var isNamed = false
  private var startedByteCount = 0

  /// How much is written before the disk is asked to begin with it.
  private static let writebackByteCount = 8 << 20

  package static func partialPath(of path: String) -> String { path + ".part" }

  package var partialPath: String { Self.partialPath(of: path) }

  /// - Parameter replaces: Takes the place of a file that has the name.
  /// - Throws: `EEXIST` when something has the name; `EWOULDBLOCK` when another process is writing it.
  package init(_ path: String, replaces: Bool) throws(DiskError) {
    try Self.check(path, replaces: replaces)
    self.path = path
    self.replaces = replaces
    file = try Self.openLocked(Self.partialPath(of: path))
    try file.truncate(toByteCount: 0)
  }

  deinit {
    if !isNamed { try? RealDisk().removeFile(partialPath) }
  }

  /// Before anything is written: what the name stands for may be replaced.
  private static func check(_ path: String, replaces: Bool) throws(DiskError) {
    switch try RealDisk().kind(of: path) {
    case nil: break
    case .file where replaces: break
    case .file: throw .alreadyThere("write", path)
    case .directory, .other:
      throw DiskError(operation: "replace (a regular file is expected)", path: path, code: EINVAL)
    }
  }

  /// Who has the lock is the only one that gives the file its name.
  private static func openLocked(_ path: String) throws(DiskError) -> RealFile {
    while true {
      let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
      let number = unsafe open(path, flags, 0o644)
      guard number >= 0 else { throw .last("open", path) }
      let descriptor = Descriptor(owning: number)
      guard flock(descriptor.number, LOCK_EX | LOCK_NB) == 0 else { throw .last("flock", path) }
      var (opened, named) = (stat(), stat())
      guard unsafe fstat(descriptor.number, &opened) == 0 else { throw .last("fstat", path) }
      guard opened.st_mode & S_IFMT == S_IFREG else {
        throw DiskError(operation: "open (a regular file is expected)", path: path, code: EINVAL)
      }
      // Between opening and locking, another process may have given this file its name.
      guard unsafe lstat(path, &named) == 0, named.st_ino == opened.st_ino,
        named.st_dev == opened.st_dev
      else { continue }
      return RealFile(descriptor, path: path)
    }
  }

  /// Reserves room for so many bytes, where the file system can.
  ///
  /// - Throws: `isOutOfSpace` when there is none.
  package func reserve(byteCount: Int) throws(DiskError) {
    do throws(DiskError) { try file.allocate(offset: 0, byteCount: byteCount) } catch {
      if !error.isUnsupported { throw error }
    }
  }

  /// Adds bytes at the end.
  @safe
  package func write(_ bytes: UnsafeRawBufferPointer) throws(DiskError) {
    try unsafe file.write(bytes, at: byteCount)
    byteCount += bytes.count
    if byteCount - startedByteCount >= Self.writebackByteCount {
      file.startWriteback(offset: startedByteCount, byteCount: byteCount - startedByteCount)
      startedByteCount = byteCount
    }
  }

  /// Writes over what was added, as a header whose numbers are known last.
  package func overwrite(_ bytes: [UInt8], at offset: Int) throws(DiskError) {
    try file.write(bytes, at: offset)
  }

  /// Forgets what was written.
  package func restart() throws(DiskError) {
    try file.truncate(toByteCount: 0)
    (byteCount, startedByteCount) = (0, 0)
  }

  package func sync() throws(DiskError) {
    // What was reserved may have been more.
    try file.truncate(toByteCount: byteCount)
    try file.sync()
  }

  /// Gives the file its name, durably.
  ///
  /// - Throws: `EEXIST` when something has the name.
  package func takeName() throws(DiskError) {
    try RealDisk().name(partialPath, path, replaces: replaces)
    isNamed = true
    try RealDisk().syncDirectory(Self.directory(of: path))
  }

  /// Where a name is.
  package static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}

extension RealDisk {
  /// Renames, and replaces nothing unless that is wanted.
  package func name(
    _ path: String, _ newPath: String, replaces: Bool
  ) throws(DiskError) {
    if !replaces {
      if unsafe linux_rename_new(path, newPath) == 0 { return }
      let error = DiskError.last("renameat2", newPath)
      // Some file systems of other machines have no such call.
      guard error.isUnsupported else { throw error }
      if try kind(of: newPath) != nil { throw .alreadyThere("rename", newPath) }
    }
    try rename(path, to: newPath)
  }
}
