// Lists and arrays that get their names only when they are complete: SystemIO/PartialFile.swift, with a buffer.

package import SystemIO

/// Written from its start to its end; removed when it is not published.
package final class NewFile {
  private let file: PartialFile
  private var pending: [UInt8] = []

  private static let pendingByteCountMax = 256 << 10

  package var path: String { file.path }
  package var partialPath: String { file.partialPath }

  /// - Throws: `EEXIST` when the name is taken and not to be replaced.
  package init(_ path: String, replaces: Bool) throws(DiskError) {
    file = try PartialFile(path, replaces: replaces)
  }

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
    try file.write(rows)
  }

  /// Writes over what was added, as a header whose numbers are known last.
  package func overwrite(_ bytes: [UInt8], at offset: Int) throws(DiskError) {
    try flush()
    try file.overwrite(bytes, at: offset)
  }

  /// Makes the content durable, then gives the file its name, durably.
  package func publish() throws(DiskError) {
    try flush()
    try file.sync()
    try file.takeName()
  }

  private func flush() throws(DiskError) {
    guard !pending.isEmpty else { return }
    var failure: DiskError?
    unsafe pending.withUnsafeBytes { bytes in
      do throws(DiskError) { try file.write(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
    pending.removeAll(keepingCapacity: true)
  }
}
