// A set of ids as 64-bit hashes: at most 16 bytes for each, so that millions fit. Used by IDSpool.swift and `ingot reconcile`.

internal import SystemIO

/// Says of an id that it is not in the set, for certain, or that it is: wrong once in 2^64 / count questions.
package struct IDHashes {
  private var tables = [Table](repeating: Table(), count: 1 << tableBitCount)
  private let seed: UInt64
  package private(set) var count = 0

  /// Many small tables grow one by one, so that growing takes little more memory than being.
  private static let tableBitCount = 6

  package init(seed: UInt64 = .random(in: .min ... .max)) { self.seed = seed }

  /// - Returns: false when the id, or one with the same hash, is there.
  @safe
  package mutating func insert(_ id: UnsafeRawBufferPointer) -> Bool {
    let hash = XXH3.hash64(id, seed: seed)
    let isNew = tables[Self.table(of: hash)].insert(hash << Self.tableBitCount | 1)
    if isNew { count += 1 }
    return isNew
  }

  @safe
  package func contains(_ id: UnsafeRawBufferPointer) -> Bool {
    let hash = XXH3.hash64(id, seed: seed)
    return tables[Self.table(of: hash)].contains(hash << Self.tableBitCount | 1)
  }

  private static func table(of hash: UInt64) -> Int {
    Int(hash >> (UInt64.bitWidth - tableBitCount))
  }

  /// Open addressing with linear search; zero is a free slot.
  private struct Table {
    var slots: [UInt64] = []
    var count = 0

    private static let slotCountMin = 16

    mutating func insert(_ value: UInt64) -> Bool {
      // At three quarters it grows by a half: 11 to 16 bytes for each hash.
      if (count + 1) * 4 > slots.count * 3 { grow() }
      let slot = place(of: value)
      guard slots[slot] == 0 else { return false }
      slots[slot] = value
      count += 1
      return true
    }

    func contains(_ value: UInt64) -> Bool { count > 0 && slots[place(of: value)] != 0 }

    /// Where the value is, or belongs.
    private func place(of value: UInt64) -> Int {
      var slot = Int(value.multipliedFullWidth(by: UInt64(slots.count)).high)
      while slots[slot] != 0, slots[slot] != value {
        slot += 1
        if slot == slots.count { slot = 0 }
      }
      return slot
    }

    private mutating func grow() {
      let old = slots
      slots = [UInt64](repeating: 0, count: max(Self.slotCountMin, old.count + old.count / 2))
      for value in old where value != 0 { slots[place(of: value)] = value }
    }
  }
}
