// A file that gets its name only when it is complete: never a part of it under the name that was asked for.

internal import Glibc
package import SystemIO

/// Written under a temporary name in the same directory, then synced and renamed; removed when it is not finished.
package final class NewFile {
  package let path: String
  private let temporaryPath: String
  private let directory: String
  private let file: any DiskFile
  private let disk: any Disk
  private var pending: [UInt8] = []
  private var end = 0
  private var isPublished = false

  private static let pendingByteCountMax = 256 << 10

  /// - Throws: `EEXIST` when the name is taken and not to be replaced.
  package init(
    _ path: String, replaces: Bool, disk: any Disk = RealDisk()
  ) throws(DiskError) {
    switch try disk.kind(of: path) {
    case nil: break
    case .file where replaces: break
    case .file: throw .alreadyThere("create", path)
    case .directory: throw DiskError(operation: "create", path: path, code: EISDIR)
    case .other: throw .alreadyThere("create (a regular file is expected)", path)
    }
    let slash = path.lastIndex(of: "/")
    directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let name = slash.map { path[path.index(after: $0)...] } ?? path[...]
    temporaryPath = "\(directory)/.\(name).ingot-\(getpid())"
    file = try disk.createFile(temporaryPath)
    self.path = path
    self.disk = disk
  }

  deinit { if !isPublished { try? disk.removeFile(temporaryPath) } }

  /// Adds small pieces, collected into larger ones.
  package func append(_ bytes: some Sequence<UInt8>) throws(DiskError) {
    pending += bytes
    if pending.count >= Self.pendingByteCountMax { try flush() }
  }

  /// Adds an id as a line of a list.
  package func append(line id: ArraySlice<UInt8>) throws(DiskError) {
    pending += id
    pending.append(UInt8(ascii: "\n"))
    if pending.count >= Self.pendingByteCountMax { try flush() }
  }

  /// Adds a large piece.
  package func append(rows: UnsafeRawBufferPointer) throws(DiskError) {
    try flush()
    try unsafe file.write(rows, at: end)
    file.startWriteback(offset: end, byteCount: rows.count)
    end += rows.count
  }

  /// Writes over what was added, as a header whose numbers are known last.
  package func overwrite(_ bytes: [UInt8], at offset: Int) throws(DiskError) {
    try flush()
    try file.write(bytes, at: offset)
  }

  /// Makes the content durable, then gives the file its name, durably.
  package func publish() throws(DiskError) {
    try flush()
    try file.sync()
    try disk.rename(temporaryPath, to: path)
    isPublished = true
    try disk.syncDirectory(directory)
  }

  private func flush() throws(DiskError) {
    guard !pending.isEmpty else { return }
    try file.write(pending, at: end)
    end += pending.count
    pending.removeAll(keepingCapacity: true)
  }
}
