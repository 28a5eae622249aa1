// One entry of an id index. Format: docs/shard-format.md "ids.index".

/// Where the row of an id is, or from which row on it is deleted; ordered by hash, then in the order of commits.
package struct IDIndexEntry: Comparable, Sendable, BitwiseCopyable {
  package var hash: UInt64
  /// The row; for a deletion the first row that it does not reach, with ``deletionBit`` set.
  package var place: UInt32
  /// Where the id's byte count stands in commits.log.
  package var idOffset: UInt32

  package static let byteCount = 16
  /// Stands where nothing was read yet.
  package static let none = IDIndexEntry(hash: 0, place: 0, idOffset: 0)
  package static let deletionBit: UInt32 = 1 << 31

  init(hash: UInt64, place: UInt32, idOffset: UInt32) {
    self.hash = hash
    self.place = place
    self.idOffset = idOffset
  }

  init(hash: UInt64, row: Int, isDeletion: Bool = false, idOffset: Int) {
    self.init(
      hash: hash, place: UInt32(row) | (isDeletion ? Self.deletionBit : 0),
      idOffset: UInt32(idOffset))
  }

  package var row: Int { Int(place & ~Self.deletionBit) }
  package var isDeletion: Bool { place & Self.deletionBit != 0 }

  /// A deletion comes before the row at its place: rotated, its bit is the lowest and the other way round.
  private var order: UInt32 { place << 1 | (isDeletion ? 0 : 1) }

  package static func < (left: Self, right: Self) -> Bool {
    left.hash != right.hash ? left.hash < right.hash : left.order < right.order
  }
}

extension [IDIndexEntry] {
  /// The entries in their order; those of equal hashes are expected in the order of their commits.
  ///
  /// Hashes are spread evenly, so that one pass of counting by their upper bits leaves a few entries per
  /// place, which are then sorted where they are.
  func sortedByHash() -> [IDIndexEntry] {
    guard count > 64 else { return sorted() }
    let bitCount = Swift.min(16, Int.bitWidth - count.leadingZeroBitCount)
    var ends = [Int](repeating: 0, count: 1 << bitCount)
    for entry in self { ends[Int(entry.hash >> (64 - bitCount))] += 1 }
    var total = 0
    for place in ends.indices {
      total += ends[place]
      ends[place] = total
    }
    var result = self
    for entry in reversed() {
      let place = Int(entry.hash >> (64 - bitCount))
      ends[place] -= 1
      result[ends[place]] = entry
    }
    // Now `ends` holds where each place begins.
    for place in ends.indices {
      let end = place + 1 < ends.count ? ends[place + 1] : count
      if end - ends[place] > 1 { result[ends[place]..<end].sort() }
    }
    return result
  }
}
