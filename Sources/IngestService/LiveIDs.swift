// All ids of a collection that are not deleted, each once, by merging the sorted ids of its shards.

internal import ShardStore
internal import SystemIO

/// Goes through the ids that were there when it was made, in the order of their hashes.
///
/// Memory does not depend on the number of rows: sealed shards are merged from their mapped indexes.
package struct LiveIDs {
  private let merge: IDMerge
  private var cursor: IDMerge.Cursor

  package init(_ collection: Collection) {
    merge = IDMerge(IDLookup(collection))
    cursor = merge.start
  }

  /// The next id; nil at the end.
  package mutating func next() -> [UInt8]? {
    while let newest = merge.next(&cursor) {
      if !newest.entry.isDeletion { return merge.id(of: newest) }
    }
    return nil
  }
}
