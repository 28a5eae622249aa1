// Whether what a sync answered can be believed. Behind every sync of RealFile.swift and RealDisk.swift.
// What was measured: docs/decisions/0010-a-sync-that-succeeds-and-means-nothing.md.

internal import CLinux
internal import Glibc

extension Descriptor {
  /// Changes the time of the last access, which a file system that has given up refuses.
  ///
  /// While the kernel aborts a journal or shuts a file system down, a sync can answer success although what it was
  /// asked for is lost: the transaction it would have waited for is gone. The abort is older than that answer, so
  /// that a change made after it meets the abort. Twice, since on ext4 the first only finds the aborted journal.
  func proveThatChangesAreKept(_ path: String) throws(DiskError) {
    for _ in 0..<2 {
      guard linux_touch_access_time(number) != 0 else { continue }
      let code = errno
      // Somebody else's file, or a file system without times: nothing is known.
      if [EPERM, EACCES, EINVAL, ENOSYS, EOPNOTSUPP].contains(code) { return }
      throw DiskError(operation: "futimens", path: fileName ?? path, code: code)
    }
  }
}
