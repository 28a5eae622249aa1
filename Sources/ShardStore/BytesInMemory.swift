// Bytes in memory that are read like a mapped file: a log under verification, an index that has no file.

internal import SystemIO

package final class BytesInMemory: DiskMapping {
  private let bytes: [UInt8]

  package init(bytes: [UInt8]) { self.bytes = bytes }

  package var byteCount: Int { bytes.count }

  package func withBytes<Result, Failure: Error>(
    _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let outcome = unsafe bytes.withUnsafeBytes { all -> Swift.Result<Result, Failure> in
      do throws(Failure) {
        return .success(try unsafe body(UnsafeRawBufferPointer(rebasing: all[range])))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }

  /// The last bytes; fewer when there are not as many.
  func suffix(_ count: Int) -> [UInt8] { [UInt8](bytes.suffix(count)) }
}
