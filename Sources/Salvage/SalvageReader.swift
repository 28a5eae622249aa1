// Goes through the whole rows of a broken file in pieces, and names those that are no vectors.

internal import ShardStore
internal import SystemIO

/// Why a row inside the file does not come back.
package enum RowLoss: Equatable, Sendable {
  /// A number is NaN or infinite.
  case nonFinite
  /// All numbers are zero.
  case zero
  /// The disk does not give its bytes.
  case unreadable
}

/// Rows as they were read, and which of them are lost.
package struct SalvagedRows: Sendable {
  /// Of the broken file, from 0.
  package let rows: Range<Int>
  package let rowStride: Int
  /// Starts with the bytes of these rows.
  package let buffer: RowBuffer
  /// Rows of `rows`, ascending.
  package let lost: [(row: Int, loss: RowLoss)]

  /// The places in the buffer of all rows that are not lost.
  package var kept: [Int] {
    var isLost = [Bool](repeating: false, count: rows.count)
    for entry in lost { isLost[entry.row - rows.lowerBound] = true }
    return isLost.indices.filter { !isLost[$0] }
  }
}

package struct SalvageReader {
  private let source: SalvageSource
  private let pool: RowBufferPool
  private let rowsPerPiece: Int
  private var nextRow = 0

  /// - Parameter pool: Its buffers have room for `rowsPerPiece` rows.
  package init(_ source: SalvageSource, rowsPerPiece: Int, pool: RowBufferPool) {
    self.source = source
    self.rowsPerPiece = rowsPerPiece
    self.pool = pool
  }

  /// The next rows; nil behind the last whole one.
  package mutating func next() -> SalvagedRows? {
    let end = min(nextRow + rowsPerPiece, source.extent.wholeRowCount)
    guard nextRow < end else { return nil }
    let rows = nextRow..<end
    nextRow = end
    let buffer = pool.take()
    let unreadable = read(rows, into: buffer)
    return SalvagedRows(
      rows: rows, rowStride: source.layout.rowStride, buffer: buffer,
      lost: lost(rows, in: buffer, unreadable: unreadable))
  }

  /// Reads rows at once, or one by one when a part of them cannot be read.
  ///
  /// - Returns: rows that cannot be read.
  private func read(_ rows: Range<Int>, into buffer: RowBuffer) -> Set<Int> {
    if read(rows, into: buffer, from: rows.lowerBound) { return [] }
    return Set(rows.filter { !read($0..<($0 + 1), into: buffer, from: rows.lowerBound) })
  }

  private func read(_ rows: Range<Int>, into buffer: RowBuffer, from first: Int) -> Bool {
    let stride = source.layout.rowStride
    let start = (rows.lowerBound - first) * stride
    let piece = unsafe UnsafeMutableRawBufferPointer(
      rebasing: buffer.bytes[start..<(start + rows.count * stride)])
    let offset = source.layout.dataOffset + rows.lowerBound * stride
    // Fewer bytes mean that somebody cuts the file meanwhile.
    return (try? unsafe source.file.read(into: piece, at: offset)) == piece.count
  }

  private func lost(
    _ rows: Range<Int>, in buffer: RowBuffer, unreadable: Set<Int>
  ) -> [(row: Int, loss: RowLoss)] {
    let (stride, dtype) = (source.layout.rowStride, source.layout.dtype)
    let all = unsafe UnsafeRawBufferPointer(rebasing: buffer.bytes[..<(rows.count * stride)])
    let isFinite = unreadable.isEmpty && Finiteness.holds(for: all, dtype: dtype)
    if isFinite, source.keepsZeros { return [] }
    var lost: [(row: Int, loss: RowLoss)] = []
    for row in rows {
      let start = (row - rows.lowerBound) * stride
      let bytes = unsafe UnsafeRawBufferPointer(rebasing: all[start..<(start + stride)])
      if unreadable.contains(row) {
        lost.append((row, .unreadable))
      } else if !isFinite, !Finiteness.holds(for: bytes, dtype: dtype) {
        lost.append((row, .nonFinite))
      } else if !source.keepsZeros, unsafe bytes.isAllZero {
        lost.append((row, .zero))
      }
    }
    return lost
  }
}
