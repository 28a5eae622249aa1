// Copies a store, also while it is served: takes no lock on it and only reads. Printed by `ingot backup`.
// The order of everything is here. One collection: StoreBackup+Collections.swift. One shard: StoreBackup+Shards.swift.
// Catalog and quarantine: StoreBackup+Catalog.swift, StoreBackup+Quarantine.swift. The target: BackupTarget.swift.

internal import Catalog
internal import ShardStore
internal import SystemIO

/// One run of a backup.
///
/// What makes the copy consistent: the catalog is copied first and gets its name last, so that it is never
/// ahead of the shards; of an open shard only rows that the header counted before are taken; shards are
/// replaced in the order of their numbers, each in one step. So the target is an earlier state of the store
/// at every instant, from the first complete run on.
package final class StoreBackup {
  let source: StoreVerifier
  let files: BackupFiles
  let disk = RealDisk()
  let sum: ProgressSum
  private let targetPath: String
  private let isCancelled: () -> Bool
  var summary = BackupSummary()
  /// By path in the store; what an earlier attempt of this run wrote is not forgotten when it is skipped now.
  private var outcomes: [String: BackupOutcome] = [:]
  /// Of the attempt before.
  private var lastListing: BackupListing?

  private static let attemptCountMax = 10
  /// Where catalog and shards differ, a compaction may be in its middle. In a store that stands still it is
  /// taken for a fact after that many attempts.
  private static let patientAttemptCountMax = 5
  /// Before a store that is being changed is looked at again.
  private static let pause = Duration.milliseconds(200)

  /// - Parameters:
  ///   - mayHardLink: Sealed shards may be the same files in the copy.
  ///   - progress: Told how many bytes of how many are there.
  ///   - isCancelled: Asked often; true ends the run soon.
  package init(
    source: String, target: String, mayHardLink: Bool = true,
    progress: @escaping (_ byteCount: Int, _ totalByteCount: Int) -> Void = { _, _ in },
    isCancelled: @escaping () -> Bool = { false }
  ) {
    self.source = StoreVerifier(root: (try? RealDisk().realPath(of: source)) ?? source)
    targetPath = target
    self.isCancelled = isCancelled
    let sum = ProgressSum(progress)
    self.sum = sum
    files = BackupFiles(mayLink: mayHardLink, isCancelled: isCancelled) { sum.add($0) }
  }

  /// Makes or renews the copy.
  package func run() throws(BackupProblem) -> BackupSummary {
    let (storeFile, uuid) = try sourceFile()
    let target = try BackupTarget(targetPath, source: source.layout.root, storeFile: storeFile)
    do throws(BackupProblem) {
      for attempt in 1...Self.attemptCountMax {
        if try copy(into: target, uuid: uuid, attempt: attempt) {
          summary.add(outcomes.values)
          return summary
        }
        try pause()
      }
      throw .keepsChanging(attemptCount: Self.attemptCountMax)
    } catch {
      target.abandon()
      throw error
    }
  }

  private func sourceFile() throws(BackupProblem) -> (StoreFile, StoreUUID) {
    let layout = source.layout
    let isThere = try diskProblem { () throws(DiskError) in
      try disk.kind(of: layout.storeFile) != nil
    }
    guard isThere else {
      throw .refused(path: layout.root, reason: "it is no store: it has no store.json")
    }
    do throws(StoreProblem) {
      return (try StoreFile.read(layout.storeFile, disk: disk), try source.storeUUID())
    } catch {
      throw .store(error)
    }
  }

  /// - Returns: false when shards were replaced meanwhile, so that everything is to be looked at again.
  private func copy(
    into target: BackupTarget, uuid: StoreUUID, attempt: Int
  ) throws(BackupProblem) -> Bool {
    summary = BackupSummary()
    try diskProblem { () throws(DiskError) in try target.begin() }
    let before = try listing(uuid)
    let catalog = try copyCatalog(into: target)
    try refuseDifferent(target, from: catalog)
    let now = try listing(uuid)
    let standsStill = lastListing.map { $0.isContained(in: now) && now.isContained(in: $0) }
    lastListing = now
    let isPatient = attempt <= Self.patientAttemptCountMax || standsStill != true
    if isPatient, hasLostShards(now, catalog: catalog) { return false }
    sum.begin(now.byteCount)
    for collection in now.collections {
      let isDone = try copy(
        collection, catalog: catalog, into: target, isPatient: isPatient)
      guard isDone else { return false }
    }
    noteLostCollections(now, catalog: catalog)
    try noteOtherCollections(now, in: target)
    try copyQuarantine(into: target)
    noteOtherFiles()
    let after = try listing(uuid)
    guard before.isContained(in: now), now.isContained(in: after) else { return false }
    try diskProblem { () throws(DiskError) in try target.finish(hasCatalog: catalog != nil) }
    return true
  }

  private func listing(_ uuid: StoreUUID) throws(BackupProblem) -> BackupListing {
    do throws(StoreProblem) { return try BackupListing(source, uuid: uuid) } catch {
      throw .store(error)
    }
  }

  func record(_ path: String, _ outcome: BackupOutcome) {
    if outcome.isSkipped, outcomes[path] != nil { return }
    outcomes[path] = outcome
  }

  func stopIfCancelled() throws(BackupProblem) {
    if isCancelled() { throw .interrupted }
  }

  private func pause() throws(BackupProblem) {
    try stopIfCancelled()
    let nobody = Monitor(())
    _ = nobody.wait(until: MonotonicTime.now.advanced(by: Self.pause)) { _ -> Void? in nil }
  }

  /// What lies in a store and is not part of it.
  private func noteOtherFiles() {
    let known =
      ["store.json", "collections", "quarantine", "lost+found"] + StoreLayout.passingNames
    for name in (try? disk.names(inDirectory: source.layout.root)) ?? []
    where !known.contains(name)
      && !["", "-wal", "-shm"].contains(where: { name == "catalog.sqlite" + $0 })
    {
      summary.notes.append("\(source.layout.root)/\(name) is not part of the store; not copied")
    }
  }
}

/// What one shard, or one file outside of shards, gave.
struct BackupOutcome {
  var isShard = false
  var byteCounts: [BackupSummary.Way: Int] = [:]

  var isSkipped: Bool { byteCounts.keys.allSatisfy { $0 == .skipped } }

  mutating func add(_ way: BackupSummary.Way, _ byteCount: Int) {
    byteCounts[way, default: 0] += byteCount
  }
}

extension BackupSummary {
  fileprivate mutating func add(_ outcomes: some Sequence<BackupOutcome>) {
    for outcome in outcomes {
      byteCounts.merge(outcome.byteCounts) { $0 + $1 }
      if outcome.isShard, !outcome.isSkipped { writtenShardCount += 1 }
    }
  }
}

/// Adds up what is done for whoever shows it.
final class ProgressSum {
  private let show: (Int, Int) -> Void
  private var done = 0
  private var total = 0

  init(_ show: @escaping (Int, Int) -> Void) { self.show = show }

  /// A new attempt begins.
  func begin(_ total: Int) {
    done = 0
    self.total = total
  }

  func add(_ byteCount: Int) {
    done += byteCount
    show(min(done, total), total)
  }
}
