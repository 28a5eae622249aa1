// One open file of this machine. Opened by RealDisk.swift, seen through RealMapping.swift.

internal import CLinux
internal import Glibc

/// A regular file by its descriptor.
@safe
final class RealFile: DiskFile {
  let path: String
  private let descriptor: Descriptor

  init(_ descriptor: consuming Descriptor, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  /// Why the last call failed, with the name that the file has by now: a new shard is renamed while it is open.
  private func failure(_ operation: String) -> DiskError {
    let code = errno
    return DiskError(operation: operation, path: descriptor.fileName ?? path, code: code)
  }

  func byteCount() throws(DiskError) -> Int {
    var status = stat()
    guard unsafe fstat(descriptor.number, &status) == 0 else { throw failure("fstat") }
    return Int(status.st_size)
  }

  func allocate(offset: Int, byteCount: Int) throws(DiskError) {
    let before = try self.byteCount()
    while linux_fallocate(descriptor.number, offset, byteCount) != 0 {
      guard errno != EINTR else { continue }
      let error = failure("fallocate")
      // ext4 keeps the blocks that it found before the disk was full, and has grown the file over them.
      if error.isOutOfSpace { try truncate(toByteCount: before) }
      throw error
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError) {
    guard let start = bytes.baseAddress else { return }
    var done = 0
    while done < bytes.count {
      let count = unsafe pwrite(
        descriptor.number, start + done, bytes.count - done, offset + done)
      if count > 0 {
        done += count
      } else if count == 0 {
        throw DiskError(operation: "pwrite", path: path, code: ENOSPC)
      } else if errno != EINTR {
        throw failure("pwrite")
      }
    }
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> Int {
    guard let start = buffer.baseAddress else { return 0 }
    var done = 0
    while done < buffer.count {
      let count = unsafe pread(
        descriptor.number, start + done, buffer.count - done, offset + done)
      if count > 0 {
        done += count
      } else if count == 0 {
        break
      } else if errno != EINTR {
        throw failure("pread")
      }
    }
    return done
  }

  func truncate(toByteCount byteCount: Int) throws(DiskError) {
    while ftruncate(descriptor.number, byteCount) != 0 {
      guard errno == EINTR else { throw failure("ftruncate") }
    }
  }

  /// Source: man 2 lseek, "Seeking file data and holes". The position of the descriptor is used by nothing else.
  func firstData(from offset: Int) throws(DiskError) -> Int? {
    let found = linux_seek_data(descriptor.number, offset)
    if found >= 0 { return found }
    if errno == ENXIO { return nil }
    throw failure("lseek")
  }

  /// Never repeated, not even for EINTR: a second call can succeed about pages that the first
  /// one gave up. Source: man 2 fsync; "Can Applications Recover from fsync Failures?", USENIX ATC 2020.
  func sync() throws(DiskError) {
    guard fdatasync(descriptor.number) == 0 else { throw failure("fdatasync") }
    try descriptor.proveThatChangesAreKept(path)
    // Bytes of a file that somebody has removed are as durable as the file is.
    var status = stat()
    guard unsafe fstat(descriptor.number, &status) == 0 else { throw failure("fstat") }
    guard status.st_nlink > 0 else {
      throw DiskError(operation: "sync of a removed file:", path: path, code: ENOENT)
    }
  }

  func startWriteback(offset: Int, byteCount: Int) {
    _ = linux_start_writeback(descriptor.number, offset, byteCount)
  }

  func startRead(offset: Int, byteCount: Int) {
    _ = posix_fadvise(descriptor.number, offset, byteCount, POSIX_FADV_WILLNEED)
  }

  func map(byteCount: Int) throws(DiskError) -> any DiskMapping {
    try RealMapping(descriptor, byteCount: byteCount, path: path)
  }
}
