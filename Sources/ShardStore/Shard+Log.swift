// What the log of a shard says: index entries, records for the catalog, ids by row.

internal import Synchronization
internal import SystemIO

extension Shard {
  /// Entries for ids.index from the log alone.
  ///
  /// - Returns: `isWhole` is false when records are damaged; their rows are left out.
  static func indexEntries(
    _ records: LogReader, of log: any DiskMapping, identity: ShardIdentity
  ) -> (entries: [IDIndexEntry], isWhole: Bool) {
    var entries: [IDIndexEntry] = []
    var isWhole = true
    var reader = records
    while true {
      do throws(CommitRecord.Problem) {
        guard let found = try reader.next() else { break }
        isWhole = append(found, of: log, identity: identity, to: &entries) && isWhole
      } catch {
        isWhole = false
        guard reader.skipDamage() else { break }
      }
    }
    return (entries.sortedByHash(), isWhole)
  }

  /// - Returns: false when the ids of the record are malformed.
  static func append(
    _ found: LogReader.Found, of log: any DiskMapping, identity: ShardIdentity,
    to entries: inout [IDIndexEntry]
  ) -> Bool {
    forEachEntry(found, of: log, identity: identity) { entries.append($0) }
  }

  /// The entries of a record, in the order of its rows.
  ///
  /// - Returns: false when the ids of the record are malformed.
  @inline(__always)
  static func forEachEntry(
    _ found: LogReader.Found, of log: any DiskMapping, identity: ShardIdentity,
    _ body: (IDIndexEntry) -> Void
  ) -> Bool {
    let record = found.record
    guard record.kind.hasIDs else { return true }
    let start = found.offset + record.payloadOffset
    let seed = identity.idHashSeed
    let isDeletion = record.kind == .deletion
    return LogReader.withPayload(of: found, in: log) { bytes in
      guard unsafe IDList.isWellFormed(bytes, of: record) else { return false }
      var number = 0
      return unsafe IDList.forEach(bytes) { offset, id in
        body(
          IDIndexEntry(
            hash: XXH3.hash64(id, seed: seed),
            row: record.firstRow + (isDeletion ? 0 : number), isDeletion: isDeletion,
            idOffset: start + offset))
        number += 1
      }
    }
  }

  /// Reads the durable records from an offset on.
  package func logReader(from offset: Int) -> LogReader {
    let end = state.withLock { $0.logEnd }
    return LogReader(log, identity: identity, range: min(offset, end)..<end)
  }

  /// The shards that this one replaces, itself among them; empty for one that was not compacted.
  package var replacedShards: [Int] {
    var reader = logReader(from: 0)
    guard let found = try? reader.next(), found.record.kind == .replacement else { return [] }
    return LogReader.replacedShards(found, in: log)
  }

  /// All batches and deletions whose records can be read, in order.
  package var readableRecords: [LogReader.Found] { readLog().records }

  /// All batches and deletions whose records can be read, and where in the log there is none.
  package func readLog() -> (records: [LogReader.Found], damagedOffsets: [Int]) {
    var records: [LogReader.Found] = []
    var damagedOffsets: [Int] = []
    var reader = logReader(from: 0)
    while true {
      do throws(CommitRecord.Problem) {
        guard let found = try reader.next() else { break }
        if found.record.kind != .replacement { records.append(found) }
      } catch {
        damagedOffsets.append(reader.offset)
        guard reader.skipDamage() else { break }
      }
    }
    return (records, damagedOffsets)
  }

  /// The batches that have some of these rows, as far as their records can be read.
  func records(overlapping rows: Range<Int>) -> [CommitRecord] {
    readableRecords.map(\.record).filter { $0.rows.overlaps(rows) }
  }

  /// The ids of a record found by ``logReader(from:)``, as commits.log keeps them.
  package func idBytes(of found: LogReader.Found) -> [UInt8] {
    LogReader.payload(of: found, in: log)
  }

  /// What this shard says of ids at this moment, in the order of ids.index.
  package func sortedIDs() -> SortedIDs {
    state.withLock { state in
      switch state.phase {
      case .open(let index, _):
        return SortedIDs(
          index.sortedEntries(), ids: log, idsEnd: state.logEnd, lastSequence: state.lastSequence)
      case .sealed(var sealed):
        defer { state.phase = .sealed(sealed) }
        return SortedIDs(
          sealed.index(), ids: log, idsEnd: state.logEnd, lastSequence: state.lastSequence)
      }
    }
  }
}
