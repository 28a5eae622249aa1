// All ids of a collection that are not deleted, each once, by merging the sorted ids of its shards.

internal import ShardStore
internal import SystemIO

/// Goes through the ids that were there when it was made, in the order of their hashes.
///
/// Memory does not depend on the number of rows: sealed shards are merged from their mapped indexes.
package struct LiveIDs {
  private let merge: IDMerge
  private var cursor: IDMerge.Cursor
  /// Ids of the hash that is being handed out; nearly always one.
  private var group: [[UInt8]] = []

  package init(_ collection: Collection) {
    merge = IDMerge(IDLookup(collection))
    cursor = merge.start
  }

  /// The next id; nil at the end.
  package mutating func next() -> [UInt8]? {
    while group.isEmpty {
      guard let entries = merge.next(&cursor) else { return nil }
      for newest in merge.newest(of: entries) where !newest.entry.isDeletion {
        group.append(merge.id(of: newest))
      }
    }
    return group.removeLast()
  }
}
