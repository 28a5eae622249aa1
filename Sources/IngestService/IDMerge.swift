// Goes through the sorted ids of all shards at once, hash by hash. Used by LiveIDs.swift and LiveRows.swift.

internal import ShardStore
internal import SystemIO

/// A merge of the parts of a look-up. Which ids share a hash is told by their bytes, and nearly never needed.
struct IDMerge: Sendable {
  /// In the order of commits: the oldest shard first.
  let parts: [IDLookup.Part]

  /// An entry and the part that it is of.
  struct Entry {
    let part: Int
    let entry: IDIndexEntry
  }

  init(_ lookup: IDLookup) { parts = lookup.levels.reversed().flatMap { $0 } }

  /// How far each part has been read.
  struct Cursor {
    fileprivate var positions: [Int]
    /// The hash at each position; nil at the end.
    fileprivate var heads: [UInt64?]
  }

  /// Before the first hash.
  var start: Cursor {
    let heads = parts.map { part in
      part.ids.withEntries { unsafe $0.first?.hash }
    }
    return Cursor(positions: [Int](repeating: 0, count: parts.count), heads: heads)
  }

  /// All entries of the next hash, in the order of commits; nil at the end.
  func next(_ cursor: inout Cursor) -> [Entry]? {
    var smallest: UInt64?
    for case let head? in cursor.heads where smallest.map({ head < $0 }) ?? true { smallest = head }
    guard let smallest else { return nil }
    var entries: [Entry] = []
    for part in parts.indices where cursor.heads[part] == smallest {
      parts[part].ids.withEntries { all in
        var position = cursor.positions[part]
        while unsafe position < all.count && all[position].hash == smallest {
          entries.append(Entry(part: part, entry: unsafe all[position]))
          position += 1
        }
        cursor.positions[part] = position
        cursor.heads[part] = unsafe position < all.count ? all[position].hash : nil
      }
    }
    return inOrder(entries)
  }

  /// Entries of a shard and of its lost part are told apart by their rows.
  private func inOrder(_ entries: [Entry]) -> [Entry] {
    guard entries.count > 1 else { return entries }
    return entries.sorted { left, right in
      let (first, second) = (parts[left.part].number, parts[right.part].number)
      return first != second ? first < second : left.entry < right.entry
    }
  }

  /// The newest entry of each id among entries of one hash.
  func newest(of entries: [Entry]) -> [Entry] {
    guard entries.count > 1 else { return entries }
    var seen: [[UInt8]] = []
    return entries.reversed().filter { entry in
      let id = id(of: entry)
      guard !seen.contains(id) else { return false }
      seen.append(id)
      return true
    }
  }

  func id(of entry: Entry) -> [UInt8] {
    parts[entry.part].ids.withID(of: entry.entry) { unsafe [UInt8]($0) }
  }
}
