// Finds rows by id in a shard that still grows. Its counterpart for sealed shards: SealedIDIndex.swift.

/// The rows of one shard by the hash of their id; the newest row of a hash first.
struct OpenIDIndex {
  /// The newest row of each hash.
  private var newestRow: [UInt64: UInt32] = [:]
  /// By row: the row that had the same hash before; `none` for the first.
  private var previousRow: [UInt32] = []
  private var hashes: [UInt64] = []
  private var idOffsets: [UInt32] = []
  private static let none = UInt32.max

  var rowCount: Int { hashes.count }

  /// Adds the next row. Rows come in order, without gaps.
  mutating func append(hash: UInt64, idOffset: Int) {
    let row = UInt32(hashes.count)
    let previous = newestRow.updateValue(row, forKey: hash)
    previousRow.append(previous ?? Self.none)
    hashes.append(hash)
    idOffsets.append(UInt32(idOffset))
  }

  /// Adds a row whose commit record is damaged, so that its id is not known here.
  mutating func appendUnknown() {
    previousRow.append(Self.none)
    hashes.append(0)
    idOffsets.append(Self.none)
  }

  /// The rows with this hash, newest first. Different ids can share a hash, so the caller compares ids.
  func candidates(_ hash: UInt64) -> [IDIndexEntry] {
    var found: [IDIndexEntry] = []
    var row = newestRow[hash] ?? Self.none
    while row != Self.none {
      found.append(IDIndexEntry(hash: hash, row: row, idOffset: idOffsets[Int(row)]))
      row = previousRow[Int(row)]
    }
    return found
  }

  /// The offset of a row's id in commits.log; nil when its record is damaged.
  func idOffset(ofRow row: Int) -> Int? {
    idOffsets[row] == Self.none ? nil : Int(idOffsets[row])
  }

  /// All entries in the order of ids.index.
  func sortedEntries() -> [IDIndexEntry] {
    var entries: [IDIndexEntry] = []
    entries.reserveCapacity(hashes.count)
    for row in hashes.indices where idOffsets[row] != Self.none {
      entries.append(
        IDIndexEntry(hash: hashes[row], row: UInt32(row), idOffset: idOffsets[row]))
    }
    entries.sort()
    return entries
  }
}
