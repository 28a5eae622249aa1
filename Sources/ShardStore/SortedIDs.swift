// What one shard says of ids, sorted by their hashes: for looking up many at once and for merging shards.
// Made by Shard+Log.swift; for shards that are lost, from the catalog's batches. Used by IngestService/IDLookup.swift.

internal import SystemIO

/// The index entries of one shard as they were at one moment, with the bytes of their ids.
package struct SortedIDs: Sendable {
  private enum Entries {
    case memory([IDIndexEntry])
    case file(SealedIDIndex)
  }

  private let entries: Entries
  /// Where `idOffset` points into.
  private let ids: any DiskMapping
  private let idsEnd: Int
  /// Of the newest record that is in here; 0 when that is not known.
  package let lastSequence: Int

  init(
    _ entries: [IDIndexEntry], ids: any DiskMapping, idsEnd: Int, lastSequence: Int = 0
  ) {
    self.entries = .memory(entries)
    self.ids = ids
    self.idsEnd = idsEnd
    self.lastSequence = lastSequence
  }

  init(_ index: SealedIDIndex, ids: any DiskMapping, idsEnd: Int, lastSequence: Int) {
    entries = .file(index)
    self.ids = ids
    self.idsEnd = idsEnd
    self.lastSequence = lastSequence
  }

  /// The newest entry of an id; nil when it is not there.
  package func newest(ofID id: [UInt8], hash: UInt64) -> IDIndexEntry? {
    withEntries { entries in
      var low = 0
      var high = entries.count
      while low < high {
        let middle = low + (high - low) / 2
        if unsafe entries[middle].hash <= hash { low = middle + 1 } else { high = middle }
      }
      while low > 0 {
        low -= 1
        let entry = unsafe entries[low]
        guard entry.hash == hash else { return nil }
        if withID(of: entry, { unsafe $0.elementsEqual(id) }) { return entry }
      }
      return nil
    }
  }

  package var count: Int {
    switch entries {
    case .memory(let entries): entries.count
    case .file(let index): index.count
    }
  }

  /// Lends all entries, in their order.
  @safe
  package func withEntries<Result>(
    _ body: (UnsafeBufferPointer<IDIndexEntry>) -> Result
  ) -> Result {
    switch entries {
    case .memory(let entries): unsafe entries.withUnsafeBufferPointer(body)
    case .file(let index): unsafe index.withEntries(body)
    }
  }

  /// Lends the bytes of an entry's id; an empty buffer when its place is outside of the log.
  @safe
  package func withID<Result>(
    of entry: IDIndexEntry, _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    let offset = Int(entry.idOffset)
    guard offset + 2 <= idsEnd else {
      return unsafe body(UnsafeRawBufferPointer(start: nil, count: 0))
    }
    return unsafe ids.withBytes(offset..<idsEnd) { bytes in
      let end = min(bytes.count, 2 + Int(unsafe bytes.integer(at: 0, as: UInt16.self)))
      return unsafe body(UnsafeRawBufferPointer(rebasing: bytes[2..<end]))
    }
  }
}

extension SortedIDs {
  /// A batch or deletion that only the catalog still knows.
  package struct LostBatch: Sendable {
    package let firstRow: Int
    package let isDeletion: Bool
    package let ids: IDList

    package init(firstRow: Int, isDeletion: Bool, ids: IDList) {
      self.firstRow = firstRow
      self.isDeletion = isDeletion
      self.ids = ids
    }
  }

  /// - Parameter batches: in the order of their commit.
  package init(lost batches: [LostBatch], seed: UInt64) {
    var bytes: [UInt8] = []
    var entries: [IDIndexEntry] = []
    for batch in batches {
      for number in 0..<batch.ids.count {
        entries.append(
          IDIndexEntry(
            hash: batch.ids.hash(number, seed: seed),
            row: batch.firstRow + (batch.isDeletion ? 0 : number), isDeletion: batch.isDeletion,
            idOffset: bytes.count + Int(batch.ids.offsets[number])))
      }
      bytes += batch.ids.bytes
    }
    let end = bytes.count
    self.init(entries.sortedByHash(), ids: BytesInMemory(bytes: bytes), idsEnd: end)
  }
}
