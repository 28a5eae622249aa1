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
