// One writer per store: flock on the store's directory itself, so that no lock file can be deleted.

internal import Glibc

/// Holds the lock until it goes away; the kernel lets go of it when the process dies.
package final class StoreLock: Sendable {
  private let directory: Descriptor

  /// - Throws: `EWOULDBLOCK` when another process holds it.
  package init(directory path: String) throws(DiskError) {
    directory = try RealDisk.openDirectory(path)
    guard flock(directory.number, LOCK_EX | LOCK_NB) == 0 else { throw .last("flock", path) }
  }

  /// The process that holds the lock on a directory, as the kernel lists it; nil when not found.
  ///
  /// Source: man 5 proc_locks: the fifth column is the process, the sixth major:minor:inode.
  package static func holder(ofDirectory path: String) -> Int? {
    var status = stat()
    guard unsafe stat(path, &status) == 0,
      let file = try? RealDisk().openFile("/proc/locks", for: .read),
      let bytes = try? file.read(offset: 0, byteCount: 1 << 20)
    else { return nil }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
      let columns = line.split(separator: " ")
      guard columns.count >= 6, columns[1] == "FLOCK",
        columns[5].split(separator: ":").last == Substring(String(status.st_ino))
      else { continue }
      return Int(columns[4])
    }
    return nil
  }
}

extension DiskError {
  package var isLockedByAnother: Bool { code == EWOULDBLOCK }
}
