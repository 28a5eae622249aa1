// What a backup did, in numbers. Printed by `ingot backup`.

package struct BackupSummary: Equatable, Sendable {
  /// How the bytes of a file came into the copy.
  package enum Way: String, Sendable, CaseIterable {
    /// A second name of the same file.
    case linked
    /// A file of its own that shares its blocks.
    case cloned
    case copied
    /// It was there already.
    case skipped
  }

  package var collectionCount = 0
  package var rowCount = 0
  /// Bytes of all files of shards and quarantine, and of the catalog.
  package var byteCounts: [Way: Int] = [:]
  package var shardCount = 0
  /// Shards of which any byte was linked, cloned or copied.
  package var writtenShardCount = 0
  package var removedShardCount = 0
  /// What an operator should know and need not act on.
  package var notes: [String] = []
  /// What of the source could not be copied, or is damaged.
  package var problems: [String] = []

  package func byteCount(_ way: Way) -> Int { byteCounts[way] ?? 0 }

  /// Whether the copy holds everything that the source should hold.
  package var isWhole: Bool { problems.isEmpty }
}
