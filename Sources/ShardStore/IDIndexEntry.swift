// One entry of an id index. Format: docs/shard-format.md "ids.index".

/// Where the row of an id is; entries are ordered by hash, then by row.
package struct IDIndexEntry: Comparable, Sendable, BitwiseCopyable {
  package var hash: UInt64
  package var row: UInt32
  /// Where the id's byte count stands in commits.log.
  package var idOffset: UInt32

  package static let byteCount = 16

  package static func < (left: Self, right: Self) -> Bool {
    left.hash != right.hash ? left.hash < right.hash : left.row < right.row
  }
}

extension [IDIndexEntry] {
  /// The entries in their order; those of equal hashes are expected in the order of their rows.
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
