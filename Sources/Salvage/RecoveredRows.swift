// Rows that come back, on their way to a store or a file. Made from SalvagedRows (SalvageReader.swift).

package import ShardStore

/// Rows of one piece without those that are lost, with their ids when there are ids.
package struct RecoveredRows: Sendable {
  package let ids: IDList?
  package let count: Int
  private let buffer: RowBuffer
  private let rowStride: Int

  /// All rows that are not lost.
  package init(_ piece: SalvagedRows) { self.init(piece, places: piece.kept, ids: nil) }

  /// - Parameter places: Of the rows in the piece's buffer, ascending; one for each id, when there are ids.
  init(_ piece: SalvagedRows, places: [Int], ids: IDList?) {
    piece.buffer.keep(places, rowStride: piece.rowStride)
    self.ids = ids
    count = places.count
    buffer = piece.buffer
    rowStride = piece.rowStride
  }

  private init(buffer: RowBuffer, rowStride: Int, ids: IDList) {
    self.buffer = buffer
    self.rowStride = rowStride
    self.ids = ids
    count = ids.count
  }

  /// Keeps the memory behind ``bytes`` alive.
  package var owner: AnyObject { buffer }

  /// The rows, one behind the other.
  package var bytes: UnsafeRawBufferPointer {
    unsafe UnsafeRawBufferPointer(rebasing: buffer.bytes[..<(count * rowStride)])
  }

  /// Only some of the rows; the others are gone from the buffer.
  ///
  /// - Parameter places: Among these rows, ascending.
  package consuming func only(_ places: [Int]) -> RecoveredRows? {
    guard let ids else { return nil }
    if places.count == count { return self }
    buffer.keep(places, rowStride: rowStride)
    return RecoveredRows(buffer: buffer, rowStride: rowStride, ids: ids.selecting(places))
  }
}
