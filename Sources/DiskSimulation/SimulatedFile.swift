// One open file, and one mapping, of the simulated disk.

internal import Glibc
internal import Synchronization
internal import SystemIO

final class SimulatedFile: DiskFile {
  let disk: SimulatedDisk
  let node: Int
  let path: String

  init(disk: SimulatedDisk, node: Int, path: String) {
    self.disk = disk
    self.node = node
    self.path = path
  }

  func byteCount() throws(DiskError) -> Int {
    try disk.perform("fstat", path) { state throws(DiskError) in state.bytes(node).count }
  }

  func allocate(offset: Int, byteCount: Int) throws(DiskError) {
    try disk.perform("fallocate", path) { state throws(DiskError) in
      guard byteCount <= state.freeByteCount else {
        throw DiskError(operation: "fallocate", path: path, code: ENOSPC)
      }
      if offset + byteCount > state.bytes(node).count {
        state.change(.resize(node: node, byteCount: offset + byteCount))
      }
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError) {
    let copy = unsafe [UInt8](bytes)
    guard !copy.isEmpty else { return }
    try disk.perform("pwrite", path) { state throws(DiskError) in
      if offset + copy.count > state.bytes(node).count {
        state.change(.resize(node: node, byteCount: offset + copy.count))
      }
      state.change(.write(node: node, offset: offset, bytes: copy))
    }
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> Int {
    let bytes = try disk.perform("pread", path) { state throws(DiskError) in state.bytes(node) }
    let count = max(0, min(buffer.count, bytes.count - offset))
    if count > 0 { unsafe buffer.copyBytes(from: bytes[offset..<(offset + count)]) }
    return count
  }

  func truncate(toByteCount byteCount: Int) throws(DiskError) {
    try disk.perform("ftruncate", path) { state throws(DiskError) in
      state.change(.resize(node: node, byteCount: byteCount))
    }
  }

  func sync() throws(DiskError) {
    try disk.performSync(
      "fdatasync", path, of: { [node] _ in node }, event: { .syncFile($0, before: $1) })
  }

  func startWriteback(offset: Int, byteCount: Int) {}

  func startRead(offset: Int, byteCount: Int) {}

  func map(byteCount: Int) throws(DiskError) -> any DiskMapping {
    try disk.perform("mmap", path) { state throws(DiskError) in
      guard byteCount > 0 else { throw DiskError(operation: "mmap", path: path, code: EINVAL) }
      return SimulatedMapping(disk: disk, node: node, byteCount: byteCount)
    }
  }
}

/// Shows what the file holds now, and zeros behind its end, as SystemIO's MappingFaults does on a real disk.
final class SimulatedMapping: DiskMapping {
  private let disk: SimulatedDisk
  private let node: Int
  let byteCount: Int

  init(disk: SimulatedDisk, node: Int, byteCount: Int) {
    self.disk = disk
    self.node = node
    self.byteCount = byteCount
  }

  func withBytes<Result, Failure: Error>(
    _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    precondition(range.upperBound <= byteCount, "behind the mapping's end")
    var bytes = disk.state.withLock { $0.bytes(node) }
    if bytes.count < range.upperBound {
      bytes.append(contentsOf: repeatElement(0, count: range.upperBound - bytes.count))
    }
    let outcome = unsafe bytes.withUnsafeBytes { all -> Swift.Result<Result, Failure> in
      do throws(Failure) {
        return .success(try unsafe body(UnsafeRawBufferPointer(rebasing: all[range])))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }
}

extension SimulatedDisk.State {
  func bytes(_ node: Int) -> [UInt8] {
    if case .file(let bytes) = nodes[node] { return bytes }
    return []
  }
}
