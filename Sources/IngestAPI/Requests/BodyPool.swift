// Memory for bodies, used again and again: fresh memory costs page faults for every batch.

internal import Synchronization

/// Keeps buffers of bodies that are done for the bodies that come.
final class BodyPool: Sendable {
  private let idle = Mutex(Idle())
  /// What is kept for later at the most.
  private let idleByteCountMax: Int
  private static let bufferByteCountMin = 64 << 10

  private struct Idle {
    /// By their size.
    var buffers: [Int: [Buffer]] = [:]
    var byteCount = 0
  }

  /// One allocation; the pool owns it while it is idle, a ``PooledBody`` while it is used.
  @safe
  struct Buffer: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let byteCount: Int
  }

  init(idleByteCountMax: Int) { self.idleByteCountMax = idleByteCountMax }

  deinit {
    for buffer in idle.withLock({ $0.buffers }).values.joined() { unsafe buffer.base.deallocate() }
  }

  /// Memory for `byteCount` bytes and the padding that decoders need.
  func body(byteCount: Int) -> PooledBody {
    let size = max(
      Self.bufferByteCountMin, Self.roundedUp(byteCount + bodyPaddingByteCount))
    let reused = idle.withLock { idle -> Buffer? in
      let buffer = idle.buffers[size]?.popLast()
      if buffer != nil { idle.byteCount -= size }
      return buffer
    }
    let buffer =
      unsafe reused
      ?? Buffer(base: .allocate(byteCount: size, alignment: 64), byteCount: size)
    return PooledBody(self, buffer, byteCount: byteCount)
  }

  /// Sizes in steps of an eighth of a power of two, so that little is left over and few sizes differ.
  private static func roundedUp(_ byteCount: Int) -> Int {
    let step = max(4096, (1 << (Int.bitWidth - byteCount.leadingZeroBitCount)) / 16)
    return (byteCount + step - 1) / step * step
  }

  fileprivate func takeBack(_ buffer: Buffer) {
    let isKept = idle.withLock { idle in
      guard idle.byteCount + buffer.byteCount <= idleByteCountMax else { return false }
      idle.byteCount += buffer.byteCount
      idle.buffers[buffer.byteCount, default: []].append(buffer)
      return true
    }
    if !isKept { unsafe buffer.base.deallocate() }
  }
}

/// One body in memory of the pool.
@safe
final class PooledBody: MutableBodyMemory, @unchecked Sendable {
  private let pool: BodyPool
  private let buffer: BodyPool.Buffer
  /// Valid bytes; changed only while the body is received.
  var byteCount: Int

  fileprivate init(_ pool: BodyPool, _ buffer: BodyPool.Buffer, byteCount: Int) {
    self.pool = pool
    self.buffer = buffer
    self.byteCount = byteCount
  }

  deinit { pool.takeBack(buffer) }

  /// How many bytes fit, not counting the padding.
  var capacity: Int { buffer.byteCount - bodyPaddingByteCount }

  var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(mutableBytes) }

  var mutableBytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: buffer.base, count: byteCount)
  }

  /// The bytes from `offset` to the capacity.
  func space(from offset: Int) -> UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(
      start: buffer.base + offset, count: capacity - offset)
  }
}
