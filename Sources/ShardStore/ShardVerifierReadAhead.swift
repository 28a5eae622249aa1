// Reads a file on threads of its own, with the checksums of its blocks, while what was read before is judged.
// Used by ShardVerifier+Rows.swift. A thread that reads a piece sums it up while it is in its processor's cache:
// handed over to be summed up, it took twice the time (measured).

internal import SystemIO

/// The pieces of a file in order, read ahead into a few buffers.
@safe
final class ShardVerifierReadAhead: @unchecked Sendable {
  struct Piece {
    let offset: Int
    /// How many bytes were there.
    let outcome: Result<Int, DiskError>
    /// The CRC32C of each whole block.
    let blockSums: [UInt32]
    fileprivate let buffer: Int
  }

  private struct Queue {
    var free: [Int]
    /// By their number, since threads end theirs in any order.
    var ready: [Int: Piece] = [:]
    /// The number of the next piece to be read.
    var nextRead = 0
  }

  private static let bufferCountMax = 8
  private static let threadCount = 2
  /// So far ahead the kernel is told what will be read: with two threads it does not see that by itself, and a
  /// cold file took half as long again (measured).
  private static let aheadByteCount = 8 << 20

  private let file: any DiskFile
  private let byteCount: Int
  private let pieceByteCount: Int
  private let pieceCount: Int
  private let memory: UnsafeMutableRawBufferPointer
  private let queue: Monitor<Queue>

  init(_ file: any DiskFile, byteCount: Int, pieceByteCount: Int) {
    self.file = file
    self.byteCount = byteCount
    self.pieceByteCount = min(pieceByteCount, max(byteCount, 1))
    pieceCount = (byteCount + self.pieceByteCount - 1) / self.pieceByteCount
    let bufferCount = min(Self.bufferCountMax, max(pieceCount, 1))
    queue = Monitor(Queue(free: Array(0..<bufferCount)))
    unsafe memory = .allocate(byteCount: bufferCount * self.pieceByteCount, alignment: 4096)
  }

  deinit { unsafe memory.deallocate() }

  /// Lends every piece, from the file's start to its end.
  func readAll(_ body: (Piece, UnsafeRawBufferPointer) -> Void) {
    var threads: [NamedThread] = []
    file.startRead(offset: 0, byteCount: min(Self.aheadByteCount, byteCount))
    // There is nothing to read ahead of one piece.
    if pieceCount > 1 {
      threads = (0..<Self.threadCount).compactMap { _ in
        NamedThread(ifPossible: "ingot-read") { [self] in while fillNext() {} }
      }
    }
    for number in 0..<pieceCount {
      if threads.isEmpty { _ = fillNext() }
      guard let piece = queue.wait(for: { $0.ready.removeValue(forKey: number) }) else { break }
      let start = piece.buffer * pieceByteCount
      let end = start + ((try? piece.outcome.get()) ?? 0)
      unsafe body(piece, UnsafeRawBufferPointer(rebasing: memory[start..<end]))
      queue.change { $0.free.append(piece.buffer) }
    }
    for thread in threads { thread.join() }
  }

  /// - Returns: false when all pieces were read.
  private func fillNext() -> Bool {
    guard let (number, buffer) = nextPiece() else { return false }
    let piece = read(number, into: buffer)
    queue.change { $0.ready[number] = piece }
    return true
  }

  private func nextPiece() -> (number: Int, buffer: Int)? {
    let next = queue.wait { queue -> (Int, Int)?? in
      guard queue.nextRead < self.pieceCount else { return .some(nil) }
      guard let buffer = queue.free.popLast() else { return nil }
      defer { queue.nextRead += 1 }
      return (queue.nextRead, buffer)
    }
    return next ?? nil
  }

  private func read(_ number: Int, into buffer: Int) -> Piece {
    let offset = number * pieceByteCount
    let start = buffer * pieceByteCount
    let count = min(pieceByteCount, byteCount - offset)
    let target = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<(start + count)])
    file.startRead(offset: offset + Self.aheadByteCount, byteCount: pieceByteCount)
    do throws(DiskError) {
      let found = try unsafe file.read(into: target, at: offset)
      let bytes = unsafe UnsafeRawBufferPointer(rebasing: target[..<found])
      let sums = (0..<(found / SealTable.blockByteCount)).map { block in
        let block = block * SealTable.blockByteCount
        return CRC32C.of(
          unsafe UnsafeRawBufferPointer(
            rebasing: bytes[block..<(block + SealTable.blockByteCount)]))
      }
      return Piece(offset: offset, outcome: .success(found), blockSums: sums, buffer: buffer)
    } catch {
      return Piece(offset: offset, outcome: .failure(error), blockSums: [], buffer: buffer)
    }
  }
}
