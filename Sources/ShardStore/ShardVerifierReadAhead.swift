// Reads a file on a thread of its own while what was read before is checked. Used by ShardVerifier+Rows.swift.
// Checking is fast and the disk is slow: one after the other, half of the disk's speed was lost (measured).

internal import SystemIO

/// The pieces of a file in order, read ahead into a few buffers.
@safe
final class ShardVerifierReadAhead: @unchecked Sendable {
  struct Piece {
    let offset: Int
    /// How many bytes were there.
    let outcome: Result<Int, DiskError>
    fileprivate let buffer: Int
  }

  private struct Queue {
    var free: [Int]
    var ready: [Piece] = []
    var isAtEnd = false
  }

  private static let bufferCountMax = 4

  private let file: any DiskFile
  private let byteCount: Int
  private let pieceByteCount: Int
  private let memory: UnsafeMutableRawBufferPointer
  private let queue: Monitor<Queue>

  init(_ file: any DiskFile, byteCount: Int, pieceByteCount: Int) {
    self.file = file
    self.byteCount = byteCount
    self.pieceByteCount = min(pieceByteCount, max(byteCount, 1))
    let pieceCount = (byteCount + self.pieceByteCount - 1) / self.pieceByteCount
    let bufferCount = min(Self.bufferCountMax, max(pieceCount, 1))
    queue = Monitor(Queue(free: Array(0..<bufferCount)))
    unsafe memory = .allocate(byteCount: bufferCount * self.pieceByteCount, alignment: 4096)
  }

  deinit { unsafe memory.deallocate() }

  /// Lends every piece, from the file's start to its end.
  func readAll(_ body: (Piece, UnsafeRawBufferPointer) -> Void) {
    // There is nothing to read ahead of one piece.
    if byteCount <= pieceByteCount { fill() }
    let thread = byteCount > pieceByteCount ? NamedThread("ingot-read") { [self] in fill() } : nil
    while let piece = next() {
      let start = piece.buffer * pieceByteCount
      let end = start + ((try? piece.outcome.get()) ?? 0)
      unsafe body(piece, UnsafeRawBufferPointer(rebasing: memory[start..<end]))
      queue.change { $0.free.append(piece.buffer) }
    }
    thread?.join()
  }

  private func next() -> Piece? {
    let answer = queue.wait { queue -> Piece?? in
      if !queue.ready.isEmpty { return queue.ready.removeFirst() }
      return queue.isAtEnd ? .some(nil) : nil
    }
    return answer ?? nil
  }

  private func fill() {
    for offset in stride(from: 0, to: byteCount, by: pieceByteCount) {
      guard let buffer = queue.wait(for: { $0.free.popLast() }) else { break }
      let start = buffer * pieceByteCount
      let count = min(pieceByteCount, byteCount - offset)
      let target = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<(start + count)])
      let outcome: Result<Int, DiskError>
      do throws(DiskError) {
        outcome = .success(try unsafe file.read(into: target, at: offset))
      } catch {
        outcome = .failure(error)
      }
      queue.change { $0.ready.append(Piece(offset: offset, outcome: outcome, buffer: buffer)) }
    }
    queue.change { $0.isAtEnd = true }
  }
}
