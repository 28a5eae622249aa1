// One shard of a backup: written in full under a temporary name, synced, and put in place in one step.
// What is done with it is decided by BackupShardPlan.swift; what belongs to it by ShardStore/ShardCut.swift.

internal import Catalog
internal import ShardStore
internal import SystemIO

/// What the shards of a collection have in common while they are copied.
struct ShardCopying {
  let collection: BackupCollection
  let target: CollectionLayout
  let targetOpener: ShardOpener
  /// What the copied catalog knows.
  let positions: [Int: Catalog.Position]
  /// Whether everything is looked at again when the catalog has not followed a compaction yet.
  let isPatient: Bool

  var source: ShardOpener { collection.opener }

  /// Whether the catalog's copy is of the time before the shard was replaced.
  func isCatalogOlder(than cut: ShardCut, _ number: Int) -> Bool {
    guard let known = positions[number]?.firstRecordCRC32C, let found = cut.firstRecordCRC32C
    else { return false }
    return known != 0 && known != found
  }
}

extension StoreBackup {
  private enum Attempt {
    /// With the shards that this one replaces.
    case done([Int])
    /// A file was replaced while it was read.
    case changed
    /// The shard is another one than that of the listing or the catalog.
    case replaced
  }

  private static let shardAttemptCountMax = 5

  /// - Returns: the shards that this one replaces; nil when its directory was replaced or went away.
  func copy(shard number: Int, _ copying: ShardCopying) throws(BackupProblem) -> [Int]? {
    for _ in 0..<Self.shardAttemptCountMax {
      try stopIfCancelled()
      let found = try? disk.identity(of: copying.source.collection.shard(number).root)
      guard found == copying.collection.shards[number] else { return nil }
      switch try attempt(number, copying) {
      case .done(let replaced): return replaced
      case .changed: continue
      case .replaced: return nil
      }
    }
    return nil
  }

  private func attempt(_ number: Int, _ copying: ShardCopying) throws(BackupProblem) -> Attempt {
    let before = identities(number, copying)
    let cut: ShardCut
    do throws(DiskError) {
      cut = try copying.source.cut(
        number, catalogRowCount: copying.positions[number]?.rowCount ?? 0
      ) { source.nextSequence(behind: number, copying.collection.numbers, copying.source) }
    } catch {
      return problem(number, "cannot be read: \(error)", copying, unless: before)
    }
    if copying.isPatient, copying.isCatalogOlder(than: cut, number) { return .replaced }
    switch plan(number, cut, copying) {
    case .skip:
      skip(number, cut, copying)
    case .keep(let reason):
      return problem(number, "\(reason); the copy keeps its own", copying, unless: before)
    case .write:
      do throws(BackupFailure) {
        let outcome = try write(number, cut, copying)
        guard identities(number, copying).agree(with: before, isSealed: cut.isSealed) else {
          return .changed
        }
        try put(number, in: copying.target)
        record(copying.source.collection.shard(number).root, outcome)
        if let damage = cut.damage {
          _ = problem(number, "\(damage); copied as it is", copying, unless: before)
        }
      } catch {
        guard case .disk(let failure) = error else { throw .interrupted }
        guard failure.path.hasPrefix(source.layout.root + "/") else { throw .disk(failure) }
        return problem(number, "cannot be copied: \(failure)", copying, unless: before)
      }
    }
    summary.shardCount += 1
    summary.rowCount += cut.rowCount
    return .done(cut.replacedShards)
  }

  /// Notes what is wrong with a shard of the source, when it is not only being replaced.
  private func problem(
    _ number: Int, _ reason: String, _ copying: ShardCopying, unless before: Identities
  ) -> Attempt {
    guard identities(number, copying).agree(with: before, isSealed: true) else { return .changed }
    summary.problems.append(
      "collection \(copying.collection.name), shard \(ShardIdentity.directoryName(number)): "
        + reason)
    return .done([])
  }

  private func plan(_ number: Int, _ cut: ShardCut, _ copying: ShardCopying) -> BackupShardPlan {
    let copy = try? copying.targetOpener.cut(number, catalogRowCount: 0) { nil }
    let source = copying.source.collection.shard(number)
    let target = copying.target.shard(number)
    let isExact =
      byteCount(target.embeddings) == cut.embeddingsByteCount
      && byteCount(target.log) == cut.logByteCount
      && (!cut.isSealed || byteCount(target.index) == byteCount(source.index))
    return BackupShardPlan(source: cut, copy: copy, copyIsExact: isExact)
  }

  private func byteCount(_ path: String) -> Int? {
    try? disk.openFile(path, for: .read).byteCount()
  }

  private func skip(_ number: Int, _ cut: ShardCut, _ copying: ShardCopying) {
    let index = byteCount(copying.target.shard(number).index) ?? 0
    var outcome = BackupOutcome(isShard: true)
    outcome.add(.skipped, cut.embeddingsByteCount + cut.logByteCount + index)
    record(copying.source.collection.shard(number).root, outcome)
    sum.add(cut.embeddingsByteCount + cut.logByteCount + index)
  }

  // MARK: - Writing

  /// Writes the shard under its temporary name, durably.
  private func write(
    _ number: Int, _ cut: ShardCut, _ copying: ShardCopying
  ) throws(BackupFailure) -> BackupOutcome {
    let source = copying.source.collection.shard(number)
    let target = copying.target.newShard(number)
    try failing { () throws(DiskError) in
      if try disk.kind(of: target.root) != nil { try removeShard(target.root, in: copying.target) }
      try disk.makeDirectory(target.root)
    }
    var outcome = BackupOutcome(isShard: true)
    if cut.isSealed {
      for (path, newPath) in [
        (source.embeddings, target.embeddings), (source.log, target.log),
        (source.index, target.index),
      ] where byteCount(path) != nil {
        let (way, byteCount) = try files.transfer(path, to: newPath, mayLink: true)
        outcome.add(way, byteCount)
      }
    } else {
      let header = copying.source.geometry.header(rowCount: cut.rowCount).encoded
      outcome.add(
        try files.transfer(
          startOf: source.embeddings, byteCount: cut.embeddingsByteCount, head: header,
          to: target.embeddings), cut.embeddingsByteCount)
      outcome.add(
        try files.transfer(
          startOf: source.log, byteCount: cut.logByteCount, head: [], to: target.log),
        cut.logByteCount)
    }
    return outcome
  }

  /// Gives the shard its name, in the place of an older one.
  private func put(_ number: Int, in layout: CollectionLayout) throws(BackupFailure) {
    try failing { () throws(DiskError) in
      let (new, own) = (layout.newShard(number).root, layout.shard(number).root)
      try disk.syncDirectory(new)
      try disk.syncDirectory(layout.newShards)
      if try disk.kind(of: own) == nil {
        try disk.rename(new, to: own)
        try disk.syncDirectory(layout.shards)
        try disk.syncDirectory(layout.newShards)
        return
      }
      let old = try exchange(new, own)
      try disk.syncDirectory(layout.shards)
      try removeShard(old, in: layout)
    }
  }

  /// - Returns: where the older shard is now.
  private func exchange(_ new: String, _ own: String) throws(DiskError) -> String {
    do throws(DiskError) {
      try disk.exchange(new, with: own)
      return new
    } catch {
      guard error.isUnsupported else { throw error }
      // The shard is missing for an instant; when a run ends there, the next one puts it in place.
      let old = new + ".old"
      try disk.rename(own, to: old)
      try disk.rename(new, to: own)
      return old
    }
  }

  private func failing<Result>(
    _ body: () throws(DiskError) -> Result
  ) throws(BackupFailure) -> Result {
    do throws(DiskError) { return try body() } catch { throw .disk(error) }
  }

  // MARK: - Replaced or not

  /// Which files a shard is made of.
  private struct Identities {
    let directory: FileIdentity?
    let embeddings: FileIdentity?
    let log: FileIdentity?
    /// Comes into being when a shard is sealed.
    let index: FileIdentity?

    func agree(with other: Identities, isSealed: Bool) -> Bool {
      directory == other.directory && embeddings == other.embeddings && log == other.log
        && (!isSealed || index == other.index)
    }
  }

  private func identities(_ number: Int, _ copying: ShardCopying) -> Identities {
    let shard = copying.source.collection.shard(number)
    func identity(_ path: String) -> FileIdentity? { (try? disk.identity(of: path)) ?? nil }
    return Identities(
      directory: identity(shard.root), embeddings: identity(shard.embeddings),
      log: identity(shard.log), index: identity(shard.index))
  }
}
