// The bytes received and not yet consumed: at most one head's worth. Big bodies go around it.

internal import Foundation

struct InputBuffer {
  private var storage: [UInt8] = []
  private var start = 0
  private var end = 0
  let capacity: Int

  /// The storage comes with the first byte, so that idle connections cost nothing.
  init(capacity: Int) { self.capacity = capacity }

  var byteCount: Int { end - start }

  func withBytes<Result, Failure: Error>(
    _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    try body(storage.span.extracting(start..<end))
  }

  /// Receives once, into all the space left; there is always some, since a full head is refused.
  mutating func receive(from number: Int32) -> Transfer {
    if storage.isEmpty { storage = [UInt8](repeating: 0, count: capacity) }
    if start == end { (start, end) = (0, 0) }
    if end == capacity, start > 0 {
      let waiting = start..<end
      unsafe storage.withUnsafeMutableBytes { bytes in
        unsafe bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[waiting]))
      }
      (start, end) = (0, waiting.count)
    }
    precondition(end < capacity, "the input buffer is full")
    let position = end
    let transfer = unsafe storage.withUnsafeMutableBytes { bytes in
      unsafe Socket.receive(
        number, into: UnsafeMutableRawBufferPointer(rebasing: bytes[position..<capacity]))
    }
    if case .moved(let count) = transfer { end += count }
    return transfer
  }

  mutating func consume(byteCount: Int) {
    precondition(byteCount <= self.byteCount, "more consumed than received")
    start += byteCount
  }

  /// Moves bytes from the front into `space`, as many as both have.
  mutating func move(into space: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(byteCount, space.count)
    unsafe storage.withUnsafeBytes { bytes in
      unsafe space.copyMemory(
        from: UnsafeRawBufferPointer(rebasing: bytes[start..<(start + count)]))
    }
    start += count
    return count
  }

  mutating func removeAll() { (storage, start, end) = ([], 0, 0) }
}
