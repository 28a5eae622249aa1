// Which rows of a collection are live: the newest of their id, and not deleted. For export and compaction.

package import ShardStore
internal import SystemIO

/// The live rows of each shard at one moment, as a bit per row.
package struct LiveRows: Sendable {
  /// One shard and its live rows.
  package struct Part: Sendable {
    package let shard: Shard
    package let rowCount: Int
    package fileprivate(set) var liveRowCount = 0
    /// Live rows that were taken out of service.
    package fileprivate(set) var damagedRowCount = 0
    fileprivate var bits: [UInt64]

    fileprivate init(_ shard: Shard) {
      self.shard = shard
      rowCount = shard.rowCount
      bits = [UInt64](repeating: 0, count: (rowCount + 63) / 64)
    }

    package func isLive(_ row: Int) -> Bool { bits[row / 64] >> UInt64(row % 64) & 1 == 1 }

    package var deadRowCount: Int { rowCount - liveRowCount - damagedRowCount }

    /// The next run of live rows from `row` on, at most `countMax` of them; nil when there is none.
    package func run(from row: Int, countMax: Int) -> Range<Int>? {
      var start = row
      while start < rowCount, !isLive(start) {
        // Whole words without a live row are stepped over.
        start = start % 64 == 0 && bits[start / 64] == 0 ? start + 64 : start + 1
      }
      guard start < rowCount else { return nil }
      var end = start + 1
      while end < min(rowCount, start + countMax), isLive(end) { end += 1 }
      return start..<end
    }
  }

  /// In the order of commits: the oldest shard first.
  package private(set) var parts: [Part]
  /// Rows that should be live and cannot be served: damaged, or of commit records that are lost.
  package private(set) var unservedRowCount = 0
  /// Of the last commit that was looked at.
  package let sequence: Int

  package var rowCount: Int { parts.reduce(0) { $0 + $1.liveRowCount } }

  package init(_ collection: Collection) {
    let lookup = IDLookup(collection)
    let merge = IDMerge(lookup)
    var parts: [Part] = []
    var places = [Int?](repeating: nil, count: merge.parts.count)
    for (number, part) in merge.parts.enumerated() {
      guard let shard = part.shard else { continue }
      places[number] = parts.count
      parts.append(Part(shard))
    }
    // By row, since an id whose record is damaged may be there twice: as the log has it, and as the catalog has it.
    var unserved: [Int: RowBits] = [:]
    let isDamaged = merge.parts.map { !$0.damage.isEmpty }
    var cursor = merge.start
    while let newest = merge.next(&cursor) {
      if newest.entry.isDeletion { continue }
      let row = newest.entry.row
      guard let place = places[newest.part] else {
        unserved[merge.parts[newest.part].number, default: RowBits()].insert(row)
        continue
      }
      // A row that came after the look-up was made is not in the entries, and the other way round.
      guard row < parts[place].rowCount else { continue }
      if isDamaged[newest.part],
        merge.parts[newest.part].damage.contains(where: { $0.rows.contains(row) })
      {
        parts[place].damagedRowCount += 1
        unserved[merge.parts[newest.part].number, default: RowBits()].insert(row)
      } else {
        parts[place].bits[row / 64] |= 1 << UInt64(row % 64)
        parts[place].liveRowCount += 1
      }
    }
    self.parts = parts
    unservedRowCount = unserved.values.reduce(0) { $0 + $1.count }
    sequence = merge.parts.map(\.ids.lastSequence).max() ?? 0
  }

  /// The live rows of one shard alone.
  package func only(_ place: Int) -> LiveRows {
    var copy = self
    copy.parts = [parts[place]]
    copy.unservedRowCount = 0
    return copy
  }

  /// A set of rows, as a bit for each up to the last.
  private struct RowBits {
    private var words: [UInt64] = []

    mutating func insert(_ row: Int) {
      while words.count <= row / 64 { words.append(0) }
      words[row / 64] |= 1 << UInt64(row % 64)
    }

    var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }
  }
}
