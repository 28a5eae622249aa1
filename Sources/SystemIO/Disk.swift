// The one interface to storage. Real: RealDisk.swift. Simulated, with power cuts: Sources/DiskSimulation.

/// Directories and names. Paths are absolute, with "/" between their parts.
///
/// Nothing is durable before a sync: the content and size of a file by ``DiskFile/sync()``, its name
/// by ``syncDirectory(_:)`` on the directory that holds it.
package protocol Disk: Sendable {
  /// Creates an empty file that was not there before.
  func createFile(_ path: String) throws(DiskError) -> any DiskFile
  /// Opens a regular file; symbolic links, pipes and devices are refused.
  func openFile(_ path: String, for access: FileAccess) throws(DiskError) -> any DiskFile
  /// Creates a directory that was not there before.
  func makeDirectory(_ path: String) throws(DiskError)
  /// Gives a file or directory another name; a file that had that name is replaced.
  func rename(_ path: String, to newPath: String) throws(DiskError)
  /// Gives two files or directories each other's name, at once.
  ///
  /// - Throws: `EINVAL` where the file system cannot.
  func exchange(_ path: String, with otherPath: String) throws(DiskError)
  func removeFile(_ path: String) throws(DiskError)
  /// Removes an empty directory.
  func removeDirectory(_ path: String) throws(DiskError)
  /// The names in a directory, sorted, without "." and "..".
  func names(inDirectory path: String) throws(DiskError) -> [String]
  /// What a name stands for; nil when there is nothing of that name.
  func kind(of path: String) throws(DiskError) -> FileKind?
  /// Makes the names in a directory durable.
  func syncDirectory(_ path: String) throws(DiskError)
  func space(at path: String) throws(DiskError) -> DiskSpace
}

package enum FileAccess: Sendable { case read, readWrite }

package enum FileKind: Sendable { case file, directory, other }

/// One open file. Closed when the last reference goes away.
package protocol DiskFile: AnyObject, Sendable {
  var path: String { get }
  func byteCount() throws(DiskError) -> Int
  /// Reserves blocks, reading as zero; the file grows when the range ends behind its end.
  ///
  /// - Throws: `ENOSPC` before anything was reserved; `EOPNOTSUPP` where the file system cannot.
  func allocate(offset: Int, byteCount: Int) throws(DiskError)
  /// Writes all of `bytes`; the file grows as needed. After an error any part may have been written.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError)
  /// Reads up to `buffer.count` bytes; fewer only at the end of the file.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(DiskError) -> Int
  func truncate(toByteCount byteCount: Int) throws(DiskError)
  /// The first byte from `offset` on that may be other than zero; nil when only a hole follows.
  func firstData(from offset: Int) throws(DiskError) -> Int?
  /// Makes content and size durable (fdatasync). After a failure nothing written since the last
  /// success may be believed, and trying again proves nothing (promise P9).
  func sync() throws(DiskError)
  /// Starts writing a range out, so that a later ``sync()`` has less to wait for. No promise.
  func startWriteback(offset: Int, byteCount: Int)
  /// Starts reading a range into the page cache, so that a later read has less to wait for. No promise.
  func startRead(offset: Int, byteCount: Int)
  /// A read-only view of the first `byteCount` bytes; the file may still be shorter.
  func map(byteCount: Int) throws(DiskError) -> any DiskMapping
}

/// A read-only view of a file, as other processes would see it now.
package protocol DiskMapping: AnyObject, Sendable {
  var byteCount: Int { get }
  /// Lends the bytes of a range that lies within both mapping and file.
  func withBytes<Result, Failure: Error>(
    _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result
  /// Whether bytes may have been read as zeros because the file was cut, or cannot be read.
  ///
  /// - Parameter contentEnd: where the contents of the file end, in whose page nobody can tell.
  func mayBeLost(_ range: Range<Int>, contentEnd: Int) -> Bool
}

extension DiskMapping {
  /// Where nobody else can cut the file.
  package func mayBeLost(_ range: Range<Int>, contentEnd: Int) -> Bool { false }
}

extension DiskFile {
  /// Where holes are not told apart, everything up to the end is data.
  package func firstData(from offset: Int) throws(DiskError) -> Int? {
    offset < (try byteCount()) ? offset : nil
  }

  package func write(_ bytes: [UInt8], at offset: Int) throws(DiskError) {
    var failure: DiskError?
    unsafe bytes.withUnsafeBytes { buffer in
      do throws(DiskError) { try unsafe write(buffer, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// The bytes of a range; shorter than asked for when the file ends before.
  package func read(offset: Int, byteCount: Int) throws(DiskError) -> [UInt8] {
    var failure: DiskError?
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      do throws(DiskError) {
        count = try unsafe read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }
}

/// A call to the operating system that failed: the machine's fault.
package struct DiskError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What was tried, by its Linux name: `open`, `pwrite`, `fdatasync`, …
  package var operation: String
  package var path: String
  /// The C library's error number, as `ENOSPC`.
  package var code: Int32

  package init(operation: String, path: String, code: Int32) {
    self.operation = operation
    self.path = path
    self.code = code
  }
}

/// Room on a file system, for callers that are not root.
package struct DiskSpace: Equatable, Sendable {
  package var freeByteCount: Int
  package var totalByteCount: Int
  /// Nil where the file system does not count them.
  package var freeInodeCount: Int?

  package init(freeByteCount: Int, totalByteCount: Int, freeInodeCount: Int?) {
    self.freeByteCount = freeByteCount
    self.totalByteCount = totalByteCount
    self.freeInodeCount = freeInodeCount
  }
}
