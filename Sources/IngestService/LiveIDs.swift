// All ids of a collection, each once, by merging the sorted indexes of its shards.

internal import ShardStore
internal import SystemIO

/// Goes through the ids that were there when it was made, in the order of their hashes.
///
/// Memory does not depend on the number of rows: sealed shards are merged from their mapped indexes.
package struct LiveIDs {
  private let shards: [Shard]
  private let entries: [Shard.SortedEntries]
  private var positions: [Int]
  /// Ids of the hash that is being handed out; nearly always one.
  private var group: [[UInt8]] = []

  package init(_ collection: Collection) {
    shards = collection.shards
    entries = shards.map { $0.sortedEntries() }
    positions = [Int](repeating: 0, count: shards.count)
  }

  /// The next id; nil at the end.
  package mutating func next() -> [UInt8]? {
    while group.isEmpty {
      guard let hash = smallestHash() else { return nil }
      collect(hash)
    }
    return group.removeLast()
  }

  private func smallestHash() -> UInt64? {
    var smallest: UInt64?
    for shard in shards.indices where positions[shard] < entries[shard].count {
      let hash = entries[shard][positions[shard]].hash
      if smallest.map({ hash < $0 }) ?? true { smallest = hash }
    }
    return smallest
  }

  /// Takes all rows of one hash; different ids can share it, and an id can have several rows.
  private mutating func collect(_ hash: UInt64) {
    for shard in shards.indices {
      while positions[shard] < entries[shard].count,
        entries[shard][positions[shard]].hash == hash
      {
        let offset = Int(entries[shard][positions[shard]].idOffset)
        let id = unsafe shards[shard].withID(at: offset) { unsafe [UInt8]($0) }
        if !id.isEmpty, !group.contains(id) { group.append(id) }
        positions[shard] += 1
      }
    }
  }
}
