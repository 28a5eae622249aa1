// Bytes that are kept until they can be sent: in memory, and beyond a limit in a file without a name.

internal import CLinux
internal import Glibc

/// Written once from its start to its end, then read once. Not durable, and gone with its owner.
package final class Spool: @unchecked Sendable {
  private let directory: String
  private let memoryByteCountMax: Int
  private var memory: [UInt8] = []
  private var file: (any DiskFile)?
  private var fileByteCount = 0

  /// - Parameter directory: On whose disk the file is made when it is needed.
  package init(directory: String, memoryByteCountMax: Int = 4 << 20) {
    self.directory = directory
    self.memoryByteCountMax = memoryByteCountMax
  }

  package var byteCount: Int { fileByteCount + memory.count }

  /// Bytes that the file takes when so many more are added; 0 when they stay in memory.
  package func fileByteCount(withMore byteCount: Int) -> Int {
    memory.count + byteCount > memoryByteCountMax ? memory.count + byteCount : 0
  }

  package func append(_ bytes: [UInt8]) throws(DiskError) {
    memory += bytes
    guard memory.count > memoryByteCountMax else { return }
    let file: any DiskFile
    if let found = self.file {
      file = found
    } else {
      file = try RealDisk.unnamedFile(inDirectory: directory)
      self.file = file
    }
    try file.write(memory, at: fileByteCount)
    fileByteCount += memory.count
    memory.removeAll(keepingCapacity: true)
  }

  /// The bytes from `offset` on, at most `byteCountMax`; empty at the end.
  package func read(at offset: Int, byteCountMax: Int) throws(DiskError) -> [UInt8] {
    if offset < fileByteCount, let file {
      return try file.read(offset: offset, byteCount: min(byteCountMax, fileByteCount - offset))
    }
    let start = min(memory.count, max(0, offset - fileByteCount))
    return Array(memory[start..<min(memory.count, start + byteCountMax)])
  }
}
