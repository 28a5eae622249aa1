// Finds rows by id in a shard that still grows. Its counterpart for sealed shards: SealedIDIndex.swift.

/// The rows of one shard by the hash of their id; the newest row of a hash first.
///
/// An open-addressed table of row numbers: hashes are well mixed already and need no second hashing. The table
/// is brought up to date by the next look-up and not by every batch, which made a twentieth of its cost: a
/// shard that nobody asks never needs it.
struct OpenIDIndex {
  /// The newest row of each hash, at the hash's low bits or behind; `none` where nothing is.
  private var slots: [UInt32] = []
  /// By row: the row that had the same hash before; `none` for the first.
  private var previousRow: [UInt32] = []
  private var hashes: [UInt64] = []
  private var idOffsets: [UInt32] = []
  private var usedSlotCount = 0
  /// Rows before this one are in the table.
  private var indexedRowCount = 0
  private static let none = UInt32.max
  private static let slotCountMin = 1024

  var rowCount: Int { hashes.count }

  /// Adds the next row. Rows come in order, without gaps.
  mutating func append(hash: UInt64, idOffset: Int) {
    hashes.append(hash)
    idOffsets.append(UInt32(idOffset))
  }

  /// Adds a row whose commit record is damaged, so that its id is not known here.
  mutating func appendUnknown() {
    hashes.append(0)
    idOffsets.append(Self.none)
  }

  /// Puts the rows that came since the last look-up into the table.
  private mutating func indexNewRows() {
    for row in indexedRowCount..<hashes.count {
      guard idOffsets[row] != Self.none else {
        previousRow.append(Self.none)
        continue
      }
      if usedSlotCount * 2 >= slots.count { grow() }
      let slot = slot(of: hashes[row])
      previousRow.append(slots[slot])
      if slots[slot] == Self.none { usedSlotCount += 1 }
      slots[slot] = UInt32(row)
    }
    indexedRowCount = hashes.count
  }

  /// Where the newest row of a hash is, or where it would be. At least half of the slots are free.
  private func slot(of hash: UInt64) -> Int {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    while slots[slot] != Self.none, hashes[Int(slots[slot])] != hash { slot = (slot + 1) & mask }
    return slot
  }

  private mutating func grow() {
    let rows = slots.filter { $0 != Self.none }
    slots = [UInt32](repeating: Self.none, count: max(Self.slotCountMin, slots.count * 2))
    for row in rows { slots[slot(of: hashes[Int(row)])] = row }
  }

  /// The rows with this hash, newest first. Different ids can share it, so the caller compares ids.
  mutating func candidates(_ hash: UInt64) -> [IDIndexEntry] {
    indexNewRows()
    guard !slots.isEmpty else { return [] }
    var found: [IDIndexEntry] = []
    var row = slots[slot(of: hash)]
    while row != Self.none {
      found.append(IDIndexEntry(hash: hash, row: row, idOffset: idOffsets[Int(row)]))
      row = previousRow[Int(row)]
    }
    return found
  }

  /// All entries in the order of ids.index.
  func sortedEntries() -> [IDIndexEntry] {
    var entries: [IDIndexEntry] = []
    entries.reserveCapacity(hashes.count)
    for row in hashes.indices where idOffsets[row] != Self.none {
      entries.append(
        IDIndexEntry(hash: hashes[row], row: UInt32(row), idOffset: idOffsets[row]))
    }
    return entries.sortedByHash()
  }
}
