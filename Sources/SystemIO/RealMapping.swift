// A file of this machine in memory, read-only and shared.

internal import CLinux
internal import Glibc

/// Owns one `mmap`; unmapped exactly once. Reads see what any process has written to the file, and zeros where it
/// cannot be read (MappingFaults.swift).
@safe
final class RealMapping: DiskMapping {
  let byteCount: Int
  /// Never written through, and valid until `deinit`.
  private nonisolated(unsafe) let start: UnsafeRawPointer
  private let place: Int?

  init(_ descriptor: borrowing Descriptor, byteCount: Int, path: String) throws(DiskError) {
    // Asked before the call, which would leave an older errno: nothing can be mapped of an empty file.
    guard byteCount > 0 else { throw DiskError(operation: "mmap", path: path, code: EINVAL) }
    guard
      let address = unsafe mmap(nil, byteCount, PROT_READ, MAP_SHARED, descriptor.number, 0),
      unsafe address != MAP_FAILED
    else { throw .last("mmap", path) }
    unsafe start = UnsafeRawPointer(address)
    self.byteCount = byteCount
    place = unsafe MappingFaults.protect(start, byteCount: byteCount)
  }

  deinit {
    if let place { MappingFaults.giveBack(place) }
    unsafe _ = munmap(UnsafeMutableRawPointer(mutating: start), byteCount)
  }

  func withBytes<Result, Failure: Error>(
    _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "outside the mapping")
    return try unsafe body(
      UnsafeRawBufferPointer(start: start + range.lowerBound, count: range.count))
  }

  /// A file that is cut loses its last page, which is touched here; what is left of the page of the new end is zero
  /// without notice. A cut within the last page itself loses none.
  func mayBeLost(_ range: Range<Int>, contentEnd: Int) -> Bool {
    guard let place, contentEnd > 0 else { return false }
    let lastPage = MappingFaults.pageStart(of: contentEnd - 1)
    if range.upperBound > lastPage { return true }
    unsafe _ = linux_read_byte(start + lastPage)
    return MappingFaults.lostPageCount(place) > 0
  }
}
