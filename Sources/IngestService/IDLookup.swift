// Many ids at once: the ids of all shards at one moment, newest shard first, found by merging.
// One id: IngestService+Read.swift. All ids: LiveIDs.swift. Which rows are live: LiveRows.swift.

package import ShardStore
internal import SystemIO

/// What the shards of a collection said of ids when this was made.
package struct IDLookup: Sendable {
  /// The ids of one shard, or those of a shard's rows that only the catalog still knows.
  struct Part: Sendable {
    let number: Int
    /// Nil when the records that name these ids are lost.
    let shard: Shard?
    let ids: SortedIDs
    let damage: [Damage]

    func finding(_ entry: IDIndexEntry) -> Collection.Finding {
      if entry.isDeletion { return .deleted }
      guard let shard else {
        return .lost(shard: number, reason: "the commit record of its row is lost")
      }
      if let damage = damage.first(where: { $0.rows.contains(entry.row) }) {
        return .damaged(shard: number, reason: damage.reason)
      }
      return .row(shard, entry.row)
    }
  }

  /// By shard, the newest first; a shard of which a part is lost has two.
  let levels: [[Part]]
  private let seed: UInt64

  package init(_ collection: Collection) {
    seed = collection.opener.identity(0).idHashSeed
    var parts: [Int: [Part]] = [:]
    for shard in collection.shards {
      let number = shard.identity.number
      parts[number, default: []].append(
        Part(
          number: number, shard: shard, ids: shard.sortedIDs(), damage: shard.summary.damage))
    }
    for (number, lost) in collection.lostIDs {
      parts[number, default: []].append(
        Part(number: number, shard: nil, ids: lost, damage: []))
    }
    levels = parts.sorted { $0.key > $1.key }.map(\.value)
  }

  /// What the newest commit says of each id, in their order.
  package func find(_ ids: IDList) -> [Collection.Finding] {
    var findings = [Collection.Finding](repeating: .unknown, count: ids.count)
    var wanted = (0..<ids.count).map { Wanted(hash: ids.hash($0, seed: seed), number: $0) }
    wanted.sort { $0.hash < $1.hash }
    for level in levels where !wanted.isEmpty {
      var newest = [IDIndexEntry?](repeating: nil, count: wanted.count)
      for part in level {
        merge(wanted, ids, with: part.ids) { position, entry in
          if newest[position].map({ $0 < entry }) ?? true {
            newest[position] = entry
            findings[wanted[position].number] = part.finding(entry)
          }
        }
      }
      var position = 0
      wanted.removeAll { _ in
        defer { position += 1 }
        return newest[position] != nil
      }
    }
    return findings
  }

  private struct Wanted {
    let hash: UInt64
    let number: Int
  }

  /// Tells the newest entry of each wanted id that is there. Both are in the order of hashes, so that the
  /// search goes on from where the last one ended.
  private func merge(
    _ wanted: [Wanted], _ ids: IDList, with sorted: SortedIDs,
    _ found: (_ position: Int, IDIndexEntry) -> Void
  ) {
    sorted.withEntries { entries in
      var start = 0
      for (position, one) in wanted.enumerated() {
        start = unsafe entries.firstIndex(ofHash: one.hash, from: start)
        var end = start
        while unsafe end < entries.count && entries[end].hash == one.hash { end += 1 }
        while end > start {
          end -= 1
          let entry = unsafe entries[end]
          let isSame = sorted.withID(of: entry) {
            unsafe IDIndexEntry.isOf(ids[one.number], hash: one.hash, stored: $0, seed: seed)
          }
          if isSame {
            found(position, entry)
            break
          }
        }
      }
    }
  }
}

extension UnsafeBufferPointer<IDIndexEntry> {
  /// The first entry whose hash is not smaller, searched in steps that double.
  fileprivate func firstIndex(ofHash hash: UInt64, from start: Int) -> Int {
    var low = start
    var step = 1
    while unsafe low + step <= count && self[low + step - 1].hash < hash {
      low += step
      step *= 2
    }
    var high = Swift.min(count, low + step)
    while low < high {
      let middle = low + (high - low) / 2
      if unsafe self[middle].hash < hash { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
