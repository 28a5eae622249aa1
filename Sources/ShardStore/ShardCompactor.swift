// Writes the live rows of sealed shards into one new shard that takes the place of all of them.
// Format: docs/shard-format.md "Compaction". Which shards, and when: IngestService/Compaction.

internal import Synchronization
package import SystemIO

/// Why shards could not be compacted. They stay as they were.
package enum CompactionFailure: Error, Sendable {
  case disk(DiskError)
  /// The disk has room, and what would be left is less than the reserve.
  case noRoom(neededByteCount: Int, freeByteCount: Int, reserveByteCount: Int)
  /// A row that is to be kept is damaged.
  case damaged(RowDamaged)
  /// The record of a batch cannot be read.
  case recordDamaged(shard: Int)
  case stopped
}

extension CompactionFailure: CustomStringConvertible {
  package var description: String {
    switch self {
    case .disk(let error): "\(error)"
    case .noRoom(let needed, let free, let reserve):
      "\(needed) bytes are needed while it runs; \(free) bytes are free, and the disk reserve is \(reserve)"
    case .damaged(let error): "rows \(error.rows) of shard \(error.shard): \(error.reason)"
    case .recordDamaged(let shard): "a record of shard \(shard) cannot be read"
    case .stopped: "stopped"
    }
  }
}

/// The new shard, sealed from its first byte on; in `new/` until it replaces the others.
package struct ShardCompactor {
  private let opener: ShardOpener
  private let sources: [Source]
  /// Told of bytes that were copied; false stops.
  private let progress: (_ byteCount: Int) -> Bool

  /// A shard, and which of its rows are kept.
  package struct Source {
    package let shard: Shard
    package let liveRun: (_ from: Int, _ countMax: Int) -> Range<Int>?

    /// - Parameter liveRun: The next run of rows to keep, from a row on; at most so many.
    package init(
      _ shard: Shard, liveRun: @escaping (_ from: Int, _ countMax: Int) -> Range<Int>?
    ) {
      self.shard = shard
      self.liveRun = liveRun
    }
  }

  /// - Parameter sources: In the order of their numbers; the new shard gets the first one's.
  package init(
    _ sources: [Source], opener: ShardOpener, progress: @escaping (_ byteCount: Int) -> Bool
  ) {
    self.sources = sources
    self.opener = opener
    self.progress = progress
  }

  private var number: Int { sources[0].shard.identity.number }
  private var layout: ShardLayout { opener.collection.newShard(number) }

  /// Makes the new shard in full, durably, under its temporary name.
  package func write() throws(CompactionFailure) {
    do throws(DiskError) {
      try ShardWriter.removeNewShard(number, in: opener.collection, disk: opener.disk)
      try opener.disk.makeDirectory(layout.root)
    } catch {
      throw .disk(error)
    }
    do throws(CompactionFailure) { try fill() } catch {
      // What it has taken of a full disk would keep the disk full.
      discard()
      throw error
    }
  }

  /// Removes the new shard, which counts for nothing until it has replaced others.
  private func discard() {
    try? ShardWriter.removeNewShard(number, in: opener.collection, disk: opener.disk)
  }

  private func fill() throws(CompactionFailure) {
    var output = try CompactedShard(
      identity: opener.identity(number), geometry: opener.geometry, layout: layout,
      disk: opener.disk)
    try output.begin(replacing: replacedNumbers, first: firstSequence)
    for source in sources { try copy(source, into: &output) }
    try output.finish()
    do throws(DiskError) {
      try opener.disk.syncDirectory(layout.root)
      try opener.disk.syncDirectory(opener.collection.newShards)
    } catch {
      throw .disk(error)
    }
  }

  /// Also those that the sources replaced themselves: their numbers are missing for good, and not lost.
  private var replacedNumbers: [Int] {
    Set(sources.flatMap { [$0.shard.identity.number] + $0.shard.replacedShards }).sorted()
  }

  private var firstSequence: Int { sources[0].shard.summary.firstSequence }

  private func copy(
    _ source: Source, into output: inout CompactedShard
  ) throws(CompactionFailure) {
    let number = source.shard.identity.number
    var reader = source.shard.logReader(from: 0)
    while true {
      let next: LogReader.Found?
      do throws(CommitRecord.Problem) { next = try reader.next() } catch {
        // Its batch would be forgotten, and stored again when it is sent again.
        throw .recordDamaged(shard: number)
      }
      guard let found = next else { return }
      if found.record.kind == .replacement { continue }
      guard let ids = IDList(payload: source.shard.idBytes(of: found), of: found.record) else {
        throw .recordDamaged(shard: number)
      }
      if found.record.kind == .deletion {
        try output.append(found.record, ids: ids, from: number)
      } else {
        let kept = try copyRows(found.record.rows, of: source, into: &output)
        try output.append(found.record, ids: ids.selecting(kept), from: number)
      }
    }
  }

  /// - Returns: which of the rows were kept, counted within `rows`.
  private func copyRows(
    _ rows: Range<Int>, of source: Source, into output: inout CompactedShard
  ) throws(CompactionFailure) -> [Int] {
    var kept: [Int] = []
    var row = rows.lowerBound
    while row < rows.upperBound, let run = source.liveRun(row, output.runCountMax),
      run.lowerBound < rows.upperBound
    {
      let part = run.clamped(to: row..<rows.upperBound)
      try copy(part, of: source.shard, into: &output)
      guard progress(part.count * source.shard.geometry.rowStride) else { throw .stopped }
      kept += part.map { $0 - rows.lowerBound }
      row = part.upperBound
    }
    return kept
  }

  private func copy(
    _ rows: Range<Int>, of shard: Shard, into output: inout CompactedShard
  ) throws(CompactionFailure) {
    let written: Result<Void, DiskError>
    do throws(RowDamaged) {
      written = try unsafe shard.withRows(rows) { bytes in
        do throws(DiskError) { return .success(try unsafe output.append(bytes)) } catch {
          return .failure(error)
        }
      }
    } catch {
      throw .damaged(error)
    }
    do throws(DiskError) { try written.get() } catch { throw .disk(error) }
  }

  /// Puts the new shard in the place of the first source, and removes all sources.
  ///
  /// From the exchange of the names on the new shard counts; whoever has an old one mapped goes on reading it.
  /// - Returns: the new shard.
  package func replace() throws(CompactionFailure) -> Shard {
    let collection = opener.collection
    do throws(DiskError) {
      try opener.disk.exchange(layout.root, with: collection.shard(number).root)
    } catch {
      discard()
      throw .disk(error)
    }
    do throws(DiskError) {
      try opener.disk.syncDirectory(collection.shards)
      try opener.disk.syncDirectory(collection.newShards)
    } catch {
      throw .disk(error)
    }
    do throws(ShardUnusable) {
      return try opener.open(number, catalogRowCount: 0, nextShardSequence: nil).shard
    } catch {
      throw .recordDamaged(shard: number)
    }
  }

  /// Removes the shards that were replaced; done again at the next start when it is interrupted.
  package func removeSources() throws(DiskError) {
    try ShardWriter.removeNewShard(number, in: opener.collection, disk: opener.disk)
    for source in sources.dropFirst() {
      try ShardWriter.removeShard(
        source.shard.identity.number, in: opener.collection, disk: opener.disk)
    }
  }
}
