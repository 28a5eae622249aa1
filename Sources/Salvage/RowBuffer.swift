// Memory for rows between the broken file and where they go; a fixed number of buffers, used again and again.

internal import SystemIO

/// Buffers of one length. Whoever wants one waits until one is free, so memory has a limit.
package final class RowBufferPool: Sendable {
  private let free: Monitor<[RowMemory]>

  package init(bufferCount: Int, byteCount: Int) {
    precondition(bufferCount > 0 && byteCount > 0)
    free = Monitor((0..<bufferCount).map { _ in RowMemory(byteCount: byteCount) })
  }

  package func take() -> RowBuffer {
    guard let memory = free.wait(for: { $0.popLast() }) else {
      preconditionFailure("waiting has no deadline")
    }
    return RowBuffer(memory, pool: self)
  }

  fileprivate func giveBack(_ memory: RowMemory) { free.change { $0.append(memory) } }
}

/// One buffer; free again when the last reference goes away.
@safe
package final class RowBuffer: @unchecked Sendable {
  package var bytes: UnsafeMutableRawBufferPointer { unsafe memory.bytes }
  private let memory: RowMemory
  private let pool: RowBufferPool

  fileprivate init(_ memory: RowMemory, pool: RowBufferPool) {
    self.memory = memory
    self.pool = pool
  }

  deinit { pool.giveBack(memory) }

  /// Moves some rows to the front, in their order, over those that are left out.
  ///
  /// - Parameter rows: Their places in the buffer, ascending.
  package func keep(_ rows: [Int], rowStride: Int) {
    for (target, row) in rows.enumerated() where target != row {
      let source = unsafe UnsafeRawBufferPointer(
        rebasing: bytes[(row * rowStride)..<((row + 1) * rowStride)])
      unsafe UnsafeMutableRawBufferPointer(
        rebasing: bytes[(target * rowStride)..<((target + 1) * rowStride)]
      ).copyMemory(from: source)
    }
  }
}

/// Owns the memory of a buffer; one user at a time.
@safe
private final class RowMemory: @unchecked Sendable {
  let bytes: UnsafeMutableRawBufferPointer

  private static let alignment = 64

  init(byteCount: Int) {
    unsafe bytes = .allocate(byteCount: byteCount, alignment: Self.alignment)
  }

  deinit { unsafe bytes.deallocate() }
}
