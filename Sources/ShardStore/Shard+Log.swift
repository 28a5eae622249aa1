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
    guard
      let ids = IDList(
        checkedBytes: LogReader.payload(of: found, in: log), count: found.record.rowCount)
    else { return false }
    let start = found.offset + found.record.payloadOffset
    let seed = identity.idHashSeed
    for row in 0..<ids.count {
      entries.append(
        IDIndexEntry(
          hash: ids.hash(row, seed: seed), row: UInt32(found.record.firstRow + row),
          idOffset: UInt32(start + Int(ids.offsets[row]))))
    }
    return true
  }

  /// Reads the durable records from an offset on.
  package func logReader(from offset: Int) -> LogReader {
    let end = state.withLock { $0.logEnd }
    return LogReader(log, identity: identity, range: min(offset, end)..<end)
  }

  /// The ids of a record found by ``logReader(from:)``, as commits.log keeps them.
  package func idBytes(of found: LogReader.Found) -> [UInt8] {
    LogReader.payload(of: found, in: log)
  }

  /// All entries in the order of ids.index: hash, then row.
  package func sortedEntries() -> SortedEntries {
    state.withLock { state in
      switch state.phase {
      case .open(let index, _):
        return .open(index.sortedEntries())
      case .sealed(var sealed):
        defer { state.phase = .sealed(sealed) }
        return .sealed(sealed.index())
      }
    }
  }

  /// A sorted view of a shard's ids as they were at one moment.
  package struct SortedEntries: Sendable {
    private enum Source {
      case memory([IDIndexEntry])
      case file(SealedIDIndex)
    }
    private let source: Source

    static func open(_ entries: [IDIndexEntry]) -> SortedEntries {
      SortedEntries(source: .memory(entries))
    }

    static func sealed(_ index: SealedIDIndex) -> SortedEntries {
      SortedEntries(source: .file(index))
    }

    package var count: Int {
      switch source {
      case .memory(let entries): entries.count
      case .file(let index): index.count
      }
    }

    package subscript(position: Int) -> IDIndexEntry {
      switch source {
      case .memory(let entries): entries[position]
      case .file(let index): index.entry(position)
      }
    }
  }
}
