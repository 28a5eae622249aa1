// The real disk with one byte that cannot be read: every read that touches it fails with EIO.

import Glibc
import SystemIO

struct BadSectorDisk: Disk {
  let bad: Int
  private let disk = RealDisk()

  init(bad: Int) { self.bad = bad }

  func openFile(_ path: String, for access: FileAccess) throws(DiskError) -> any DiskFile {
    BadSectorFile(try disk.openFile(path, for: access), bad: bad)
  }

  func createFile(_ path: String) throws(DiskError) -> any DiskFile { try disk.createFile(path) }
  func makeDirectory(_ path: String) throws(DiskError) { try disk.makeDirectory(path) }
  func rename(_ path: String, to newPath: String) throws(DiskError) {
    try disk.rename(path, to: newPath)
  }
  func removeFile(_ path: String) throws(DiskError) { try disk.removeFile(path) }
  func removeDirectory(_ path: String) throws(DiskError) { try disk.removeDirectory(path) }
  func names(inDirectory path: String) throws(DiskError) -> [String] {
    try disk.names(inDirectory: path)
  }
  func kind(of path: String) throws(DiskError) -> FileKind? { try disk.kind(of: path) }
  func syncDirectory(_ path: String) throws(DiskError) { try disk.syncDirectory(path) }
  func space(at path: String) throws(DiskError) -> DiskSpace { try disk.space(at: path) }
}

private final class BadSectorFile: DiskFile {
  private let file: any DiskFile
  private let bad: Int

  init(_ file: any DiskFile, bad: Int) {
    self.file = file
    self.bad = bad
  }

  var path: String { file.path }
  func byteCount() throws(DiskError) -> Int { try file.byteCount() }
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> Int {
    guard !(offset..<(offset + buffer.count)).contains(bad) else {
      throw DiskError(operation: "pread", path: path, code: EIO)
    }
    return try file.read(into: buffer, at: offset)
  }
  func allocate(offset: Int, byteCount: Int) throws(DiskError) {
    try file.allocate(offset: offset, byteCount: byteCount)
  }
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError) {
    try file.write(bytes, at: offset)
  }
  func truncate(toByteCount byteCount: Int) throws(DiskError) {
    try file.truncate(toByteCount: byteCount)
  }
  func sync() throws(DiskError) { try file.sync() }
  func startWriteback(offset: Int, byteCount: Int) {}
  func map(byteCount: Int) throws(DiskError) -> any DiskMapping {
    try file.map(byteCount: byteCount)
  }
}
