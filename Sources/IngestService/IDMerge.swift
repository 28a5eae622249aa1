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

  /// How far the merge is. Entries are copied a few at a time: to borrow each would cost more than to merge it.
  struct Cursor {
    /// `bufferCount` places for each part.
    fileprivate var buffer: [IDIndexEntry]
    /// By part: where in its places the next entry is, how many are filled, and what is read next.
    fileprivate var positions: [Int]
    fileprivate var filledCounts: [Int]
    fileprivate var nextIndices: [Int]
    /// Parts that have entries left, as a heap: the smallest hash is first.
    fileprivate var heap: [Int]
    /// Of a hash that several entries have.
    fileprivate var group: [Entry] = []

    fileprivate static let bufferCount = 128

    fileprivate func entry(of part: Int) -> IDIndexEntry {
      buffer[part * Self.bufferCount + positions[part]]
    }
  }

  /// Before the first hash.
  var start: Cursor {
    let none = [Int](repeating: 0, count: parts.count)
    var cursor = Cursor(
      buffer: [IDIndexEntry](
        repeating: .none, count: parts.count * Cursor.bufferCount),
      positions: none, filledCounts: none, nextIndices: none, heap: [])
    for part in parts.indices where fill(part, &cursor) { cursor.heap.append(part) }
    for place in cursor.heap.indices.reversed() { sink(from: place, &cursor) }
    return cursor
  }

  /// The newest entry of the next id, in the order of hashes; nil at the end.
  func next(_ cursor: inout Cursor) -> Entry? {
    if let entry = cursor.group.popLast() { return entry }
    guard let part = cursor.heap.first else { return nil }
    let first = Entry(part: part, entry: cursor.entry(of: part))
    advance(&cursor)
    guard let next = cursor.heap.first, cursor.entry(of: next).hash == first.entry.hash else {
      return first
    }
    var entries = [first]
    while let next = cursor.heap.first, cursor.entry(of: next).hash == first.entry.hash {
      entries.append(Entry(part: next, entry: cursor.entry(of: next)))
      advance(&cursor)
    }
    cursor.group = newest(of: inOrder(entries))
    return cursor.group.popLast()
  }

  /// Passes the entry that is first in the heap.
  private func advance(_ cursor: inout Cursor) {
    let part = cursor.heap[0]
    cursor.positions[part] += 1
    if cursor.positions[part] == cursor.filledCounts[part], !fill(part, &cursor) {
      let last = cursor.heap.removeLast()
      if cursor.heap.isEmpty { return }
      cursor.heap[0] = last
    }
    sink(from: 0, &cursor)
  }

  /// - Returns: false when the part has no more entries.
  private func fill(_ part: Int, _ cursor: inout Cursor) -> Bool {
    let start = cursor.nextIndices[part]
    let target = part * Cursor.bufferCount
    let count = parts[part].ids.withEntries { all in
      let count = min(Cursor.bufferCount, all.count - start)
      for number in 0..<count { cursor.buffer[target + number] = unsafe all[start + number] }
      return count
    }
    cursor.nextIndices[part] = start + count
    (cursor.positions[part], cursor.filledCounts[part]) = (0, count)
    return count > 0
  }

  /// Moves a part down the heap until none below has a smaller hash.
  private func sink(from place: Int, _ cursor: inout Cursor) {
    var place = place
    while true {
      var smallest = place
      for child in [2 * place + 1, 2 * place + 2] where child < cursor.heap.count {
        if cursor.entry(of: cursor.heap[child]).hash
          < cursor.entry(of: cursor.heap[smallest]).hash
        {
          smallest = child
        }
      }
      if smallest == place { return }
      cursor.heap.swapAt(place, smallest)
      place = smallest
    }
  }

  /// Entries of a shard and of its lost part are told apart by their rows.
  private func inOrder(_ entries: [Entry]) -> [Entry] {
    entries.sorted { left, right in
      let (first, second) = (parts[left.part].number, parts[right.part].number)
      return first != second ? first < second : left.entry < right.entry
    }
  }

  /// The newest entry of each id among entries of one hash.
  private func newest(of entries: [Entry]) -> [Entry] {
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
