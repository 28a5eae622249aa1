// Brings rows and ids together: row by row, those that come back and those that are lost.

internal import ShardStore
package import SystemIO

package struct RowNaming {
  private var reader: IDSpoolReader
  private let keepsNamelessRows: Bool
  private var ahead: (row: Int, id: ArraySlice<UInt8>)?
  package private(set) var lostIDCount = 0
  /// Rows that came back and that no id belongs to.
  package private(set) var namelessRowCount = 0

  /// - Parameter keepsNamelessRows: Rows come back also when no id belongs to them, and then all of them without ids.
  package init(_ reader: IDSpoolReader, keepsNamelessRows: Bool = false) throws(DiskError) {
    self.reader = reader
    self.keepsNamelessRows = keepsNamelessRows
    ahead = try self.reader.next()
  }

  /// Finds the ids of the next rows.
  ///
  /// - Parameters:
  ///   - piece: Follows the last one without a gap.
  ///   - lost: Takes each id whose row does not come back, in the order of the rows.
  package mutating func name(
    _ piece: SalvagedRows, lost: (ArraySlice<UInt8>) throws(DiskError) -> Void
  ) throws(DiskError) -> RecoveredRows {
    var ids = IDList.Builder(expecting: piece.rows.count)
    var places: [Int] = []
    places.reserveCapacity(piece.rows.count)
    var losses = piece.lost.makeIterator()
    var nextLoss = losses.next()?.row
    for row in piece.rows {
      let isLost = nextLoss == row
      if isLost { nextLoss = losses.next()?.row }
      let id = try take(row)
      if isLost {
        if let id { try drop(id, lost) }
      } else if let id {
        ids.append(checked: id)
        places.append(row - piece.rows.lowerBound)
      } else {
        namelessRowCount += 1
        if keepsNamelessRows { places.append(row - piece.rows.lowerBound) }
      }
    }
    return RecoveredRows(
      piece, places: places, ids: keepsNamelessRows ? nil : ids.finishWithRepetitions())
  }

  /// The ids behind the last row that could be read.
  package mutating func finish(
    lost: (ArraySlice<UInt8>) throws(DiskError) -> Void
  ) throws(DiskError) {
    while let (row, id) = ahead {
      _ = try take(row)
      try drop(id, lost)
    }
  }

  private mutating func drop(
    _ id: ArraySlice<UInt8>, _ lost: (ArraySlice<UInt8>) throws(DiskError) -> Void
  ) throws(DiskError) {
    lostIDCount += 1
    try lost(id)
  }

  private mutating func take(_ row: Int) throws(DiskError) -> ArraySlice<UInt8>? {
    guard let found = ahead, found.row == row else { return nil }
    ahead = try reader.next()
    return found.id
  }
}

extension IDList.Builder {
  /// Adds an id that was in a spool.
  fileprivate mutating func append(checked id: ArraySlice<UInt8>) {
    let isAppended: ()? = unsafe id.withUnsafeBytes { try? unsafe append(validUTF8: $0) }
    precondition(isAppended != nil, "the id was checked before")
  }
}
