// The memory that bodies lie in while they are decoded. The server's pool conforms to these
// protocols.

/// Memory that holds one body, received or decoded, and frees it when it goes away.
package protocol BodyMemory: AnyObject, Sendable {
  /// The valid bytes. ``bodyPaddingByteCount`` more behind them can be read, whatever they hold.
  var bytes: UnsafeRawBufferPointer { get }
}

/// Body memory that is still being filled.
package protocol MutableBodyMemory: BodyMemory {
  /// The same bytes. Nobody writes to them once a batch was made of them.
  var mutableBytes: UnsafeMutableRawBufferPointer { get }
}

/// Where decoders get memory for inflated members and for rows that arrive as text.
package protocol BodyMemorySource: Sendable {
  /// - Returns: Exactly `byteCount` bytes and the padding, with any content; `nil` when the
  ///   in-flight budget does not allow it.
  func memory(byteCount: Int) -> (any MutableBodyMemory)?
}

/// What must be readable behind a body: simdjson loads whole blocks.
package let bodyPaddingByteCount = 64

/// Body memory from the heap, for tests and tools.
@safe
package final class HeapBodyMemory: MutableBodyMemory, @unchecked Sendable {
  private let base: UnsafeMutableRawPointer
  private let byteCount: Int

  package init(byteCount: Int) {
    precondition(byteCount >= 0)
    unsafe base = .allocate(byteCount: byteCount + bodyPaddingByteCount, alignment: 64)
    unsafe (base + byteCount).initializeMemory(
      as: UInt8.self, repeating: 0, count: bodyPaddingByteCount)
    self.byteCount = byteCount
  }

  package convenience init(_ content: [UInt8]) {
    self.init(byteCount: content.count)
    unsafe mutableBytes.copyBytes(from: content)
  }

  deinit { unsafe base.deallocate() }

  package var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(mutableBytes) }

  package var mutableBytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: base, count: byteCount)
  }
}

/// Hands out heap memory without a budget.
package struct HeapBodyMemorySource: BodyMemorySource {
  package init() {}

  package func memory(byteCount: Int) -> (any MutableBodyMemory)? {
    HeapBodyMemory(byteCount: byteCount)
  }
}
