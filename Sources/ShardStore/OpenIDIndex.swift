// Finds rows by id in a shard that still grows. Its counterpart for sealed shards: SealedIDIndex.swift.

/// The rows and deletions of one shard by the hash of their id; the newest of a hash first.
///
/// An open-addressed table of entry numbers: hashes are well mixed already and need no second hashing. The table
/// is brought up to date by the next look-up and not by every batch, which made a twentieth of its cost: a
/// shard that nobody asks never needs it.
struct OpenIDIndex {
  /// In the order of commits.
  private var entries: [IDIndexEntry] = []
  /// The newest entry of each hash, at the hash's low bits or behind; `none` where nothing is.
  private var slots: [UInt32] = []
  /// By entry: the entry that had the same hash before; `none` for the first.
  private var previous: [UInt32] = []
  private var usedSlotCount = 0
  private static let none = UInt32.max
  private static let slotCountMin = 1024

  /// Adds what the next record says of an id.
  mutating func append(_ entry: IDIndexEntry) { entries.append(entry) }

  /// Puts the entries that came since the last look-up into the table.
  private mutating func indexNewEntries() {
    for number in previous.count..<entries.count {
      if usedSlotCount * 2 >= slots.count { grow() }
      let slot = slot(of: entries[number].hash)
      previous.append(slots[slot])
      if slots[slot] == Self.none { usedSlotCount += 1 }
      slots[slot] = UInt32(number)
    }
  }

  /// Where the newest entry of a hash is, or where it would be. At least half of the slots are free.
  private func slot(of hash: UInt64) -> Int {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: hash) & mask
    while slots[slot] != Self.none, entries[Int(slots[slot])].hash != hash {
      slot = (slot + 1) & mask
    }
    return slot
  }

  private mutating func grow() {
    let numbers = slots.filter { $0 != Self.none }
    slots = [UInt32](repeating: Self.none, count: max(Self.slotCountMin, slots.count * 2))
    for number in numbers { slots[slot(of: entries[Int(number)].hash)] = number }
  }

  /// The entries with this hash, newest first. Different ids can share it, so the caller compares ids.
  mutating func candidates(_ hash: UInt64) -> [IDIndexEntry] {
    indexNewEntries()
    guard !slots.isEmpty else { return [] }
    var found: [IDIndexEntry] = []
    var number = slots[slot(of: hash)]
    while number != Self.none {
      found.append(entries[Int(number)])
      number = previous[Int(number)]
    }
    return found
  }

  /// All entries in the order of ids.index.
  func sortedEntries() -> [IDIndexEntry] { entries.sortedByHash() }
}
