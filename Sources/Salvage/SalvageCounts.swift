// What became of every row that a broken file claims: the sums of a salvage. Shown by `ingot salvage`.

/// Rows by what became of them; all of them together are those that the header claims.
package struct SalvageCounts: Equatable, Sendable {
  package let extent: SalvageExtent
  package private(set) var nonFiniteRowCount = 0
  /// Zero rows before the last row that is not zero.
  package private(set) var zeroRowCount = 0
  package private(set) var unreadableRowCount = 0
  package private(set) var readRowCount = 0

  package init(_ extent: SalvageExtent) { self.extent = extent }

  package mutating func add(_ piece: SalvagedRows) {
    readRowCount += piece.rows.count
    for entry in piece.lost {
      switch entry.loss {
      case .nonFinite: nonFiniteRowCount += 1
      case .zero: zeroRowCount += 1
      case .unreadable: unreadableRowCount += 1
      }
    }
  }

  package var recoveredRowCount: Int {
    readRowCount - nonFiniteRowCount - zeroRowCount - unreadableRowCount
  }

  package var lostRowCount: Int { extent.claimedRowCount - recoveredRowCount }
}
