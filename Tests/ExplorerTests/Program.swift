// A process that works on a simulated disk: opens the store as a start does, and takes the steps of a workload. Checks
// of what it finds: Program+Check.swift.

import DiskSimulation
import Logging
import ShardStore
import Synchronization
import SystemIO

@testable import IngestService

final class Program: Sendable {
  let disk: SimulatedDisk
  let workload: Workload
  let state: Mutex<State>
  let evidence: EvidenceKind
  private let phase = Mutex(Phase.open)
  private let pipeline = CommitPipeline(events: CommitPipeline.Events(), clock: { 7 })

  struct State {
    var model: Model
    /// What the numbers of the trace's notes stand for.
    var entries: [Model.Entry] = []
    var collection: Collection?
  }

  /// What the program is doing; by it a mutant tells one sync of a file from another.
  enum Phase { case open, commit, seal, compact, scrub, stop }

  /// What the catalog remembers at the start.
  enum EvidenceKind: CaseIterable { case none, all, beforeLastCompaction }

  /// The next process on the same disk, whose trace goes on.
  init(after other: Program, evidence: EvidenceKind) {
    disk = other.disk
    self.evidence = evidence
    workload = other.workload
    let (model, entries) = other.state.withLock { ($0.model, $0.entries) }
    state = Mutex(State(model: model, entries: entries))
  }

  init(on disk: SimulatedDisk, _ model: Model, evidence: EvidenceKind) {
    self.disk = disk
    self.evidence = evidence
    workload = model.workload
    state = Mutex(State(model: model))
  }

  var model: Model { state.withLock { $0.model } }
  var entries: [Model.Entry] { state.withLock { $0.entries } }
  var collection: Collection? { state.withLock { $0.collection } }

  func note(_ entry: Model.Entry) {
    // The disk's note comes in the same order as the entry, since all happens on one thread.
    let number = state.withLock { state in
      state.entries.append(entry)
      state.model.note(entry)
      return state.entries.count - 1
    }
    disk.note(number)
  }

  // MARK: - Start

  enum Failure: Error { case notOpened(String) }

  private static let layout = Workload.layout

  /// Opens or creates store and collection.
  func open() throws {
    phase.withLock { $0 = .open }
    let known = model.catalogEvidence(evidence)
    state.withLock { $0.collection = nil }
    if try disk.kind(of: Self.layout.root) == nil { try disk.makeDirectory(Self.layout.root) }
    let uuid = try IngestService.openOrCreateStore(
      Self.layout, disk: disk, newUUID: Workload.storeUUID)
    try repairLogs()
    var report = RecoveryReport()
    let opened = try IngestService.openCollections(
      Self.layout, uuid: uuid, configuration: Workload.configuration, disk: disk,
      known: { _ in .init(rowCounts: known.rowCounts, sequence: known.sequence) },
      report: &report)
    let collection =
      try opened.first
      ?? Collection.create(
        "c", uuid: Workload.collectionUUID, store: uuid, geometry: Self.geometry,
        layout: Self.layout, disk: disk, steps: Workload.configuration.allocation)
    quarantine.apply(to: collection)
    state.withLock { $0.collection = collection }
  }

  private static let geometry = ShardGeometry(
    dimension: Workload.dimension, dtype: .float32,
    shardByteCount: Workload.configuration.shardByteCount)

  var opener: ShardOpener {
    ShardOpener(
      disk: disk, collection: Self.layout.collection("c"), store: Workload.storeUUID,
      collectionUUID: Workload.collectionUUID, geometry: Self.geometry,
      steps: Workload.configuration.allocation)
  }

  var quarantine: Quarantine {
    Quarantine(layout: Self.layout, disk: disk, reserveByteCount: 0)
  }

  /// What `ingot rebuild` does about a log without its first record.
  private func repairLogs() throws {
    guard workload.decaysLogs, try disk.kind(of: opener.collection.shards) == .directory else {
      return
    }
    let names = try disk.names(inDirectory: opener.collection.shards)
    for number in names.compactMap(ShardIdentity.number(ofDirectoryName:))
    where opener.firstSequence(number) == nil {
      let batches = model.acknowledged.filter { model.receipts[$0]?.shard == number }
        .compactMap(knownBatch)
      _ = try ShardRepair(opener, number: number).rebuildLog(from: batches, replacing: [])
    }
  }

  private func knownBatch(_ change: Int) -> KnownBatch? {
    guard let receipt = model.receipts[change] else { return nil }
    let batch = workload.batches[change]
    return KnownBatch(
      record: CommitRecord(
        kind: batch.isDeletion ? .deletion : .batch, sequence: receipt.sequence,
        rows: receipt.rows, rowsCRC32C: receipt.rowsCRC32C, committedAt: receipt.committedAt,
        contentDigest: receipt.contentDigest, bodySHA256: receipt.bodySHA256,
        batchID: receipt.batchID, origin: nil), ids: batch.ids)
  }

  // MARK: - Steps

  /// Takes the steps that are not finished, whatever becomes of them.
  ///
  /// - Returns: those that failed.
  @discardableResult
  func takeSteps() -> [Int] {
    var failed: [Int] = []
    for step in workload.steps.indices where !model.finishedSteps.contains(step) {
      if take(step) { note(.finished(step: step)) } else { failed.append(step) }
    }
    return failed
  }

  /// Lets the program do without some syncs.
  func install(_ mutant: Mutant?) {
    guard let mutant else { return disk.setLie(nil) }
    disk.setLie { [weak self] _, path, count in
      self.map { mutant.drops($0.phase.withLock { $0 }, path, count) } ?? false
    }
  }

  private func take(_ number: Int) -> Bool {
    guard let collection else { return reopen() && take(number) }
    phase.withLock { $0 = workload.steps[number].phase }
    switch workload.steps[number] {
    case .commit(_, let schedule):
      let missing = workload.changes[number].filter(model.isMissing)
      commit(missing, schedule, in: collection)
      return missing.allSatisfy { !model.isMissing($0) }
    case .seal: return (try? collection.sealFinishedShards()) != nil
    case .compact: return compact(collection)
    case .scrub: return scrub(collection)
    case .restart: return reopen()
    case .stop:
      if let writer = collection.writing.withLock({ $0.writer }) {
        guard (try? writer.giveBackSpace()) != nil else { return false }
      }
      return reopen()
    case .decay(let decay):
      self.decay(decay, in: collection)
      return reopen()
    }
  }

  /// Starts again; batches that are found are known by their batch ids from here on.
  func reopen() -> Bool {
    guard (try? open()) != nil, let collection else { return false }
    noteRecovered(Contents(logsOf: collection), collection)
    return true
  }

  func noteRecovered(_ contents: Contents, _ collection: Collection) {
    let rowCounts = collection.shards.map { ($0.identity.number, $0.rowCount) }
    note(
      .recovered(
        contents.commits, contents.receipts,
        Model.Evidence(
          rowCounts: Dictionary(uniqueKeysWithValues: rowCounts),
          sequence: collection.lastSequence),
        isWhole: collection.unusableShards.isEmpty))
  }

  private func write(_ changes: [Int], in collection: Collection) -> [WrittenPart] {
    guard !changes.isEmpty else { return [] }
    for change in changes { note(.started(change)) }
    return pipeline.write(
      changes.map { change in
        PendingBatch(
          collection: collection, batch: workload.batches[change],
          batchID: Workload.batchID(change)
        ) { [self] outcome in
          switch outcome {
          case .success(let receipt): note(.acknowledged(change, receipt))
          case .failure: note(.refused(change))
          }
        }
      })
  }

  private func commit(_ changes: [Int], _ schedule: Schedule, in collection: Collection) {
    var before: [WrittenPart] = []
    switch schedule {
    case .grouped: before = write(changes, in: collection)
    case .oneByOne:
      for change in changes { pipeline.sync(write([change], in: collection)) }
    case .overlapped:
      for change in changes {
        let parts = write([change], in: collection)
        pipeline.sync(before)
        before = parts
      }
    case .duringSync:
      for change in changes { before = sync(before, whileWriting: change, in: collection) }
    }
    pipeline.sync(before)
  }

  /// The first sync of the parts takes long enough for all of the next write.
  private func sync(
    _ parts: [WrittenPart], whileWriting change: Int, in collection: Collection
  ) -> [WrittenPart] {
    let next = Mutex<[WrittenPart]?>(nil)
    disk.setDuringSync { [self] _, _ in
      disk.setDuringSync(nil)
      let written = write([change], in: collection)
      next.withLock { $0 = written }
    }
    pipeline.sync(parts)
    disk.setDuringSync(nil)
    return next.withLock { $0.take() } ?? write([change], in: collection)
  }

  private func compact(_ collection: Collection) -> Bool {
    let live = LiveRows(collection)
    let plan = collection.compactionPlan(live, deadPercent: 1)
    for group in plan.groups {
      let parts = live.parts.filter { group.contains($0.shard.identity.number) }
      let outcome = try? collection.compact(parts) { _ in
        true
      } replaced: { shard in
        note(
          .replaced(
            shard.replacedShards, by: shard.identity.number, rowCount: shard.rowCount))
      }
      guard let outcome, outcome.left == nil else { return false }
    }
    return true
  }

  // MARK: - Damage

  /// Of the first sealed shard, once.
  private func decay(_ decay: Decay, in collection: Collection) {
    guard !model.isDecayed, let shard = collection.shards.first(where: { $0.summary.isSealed })
    else { return }
    let files = opener.collection.shard(shard.identity.number)
    note(.decayed(decay.ids(in: shard, workload)))
    switch decay {
    case .index: disk.flipBit(8 * 70 + 3, in: files.index)
    case .header: disk.flipBit(8 * 100 + 1, in: files.embeddings)
    case .log: disk.flipBit(8 * 60, in: files.log)
    case .row(let row):
      disk.flipBit(8 * (Self.geometry.offset(ofRow: row) + 6), in: files.embeddings)
    }
  }

  /// What the scrub does about each shard, twice: what it made again is read again.
  private func scrub(_ collection: Collection) -> Bool {
    let scrubber = Scrubber(
      configuration: Workload.configuration, catalog: nil, follower: nil, quarantine: quarantine,
      logger: Logger(label: "explorer") { _ in SwiftLogNoOpLogHandler() }, collections: { [] })
    for shard in collection.shards {
      for _ in 0..<2 {
        let isRepaired = scrubber.treat(
          verify(shard), of: shard, in: collection, cause: "scrub")
        if !isRepaired { break }
      }
    }
    return collection.unusableShards.isEmpty
      && collection.shards.allSatisfy { unexpectedDamage(verify($0)).isEmpty }
  }

  func verify(_ shard: Shard) -> ShardVerification {
    let summary = shard.summary
    return ShardVerifier(opener).verify(
      summary.number,
      evidence: ShardVerifier.Evidence(
        durable: summary.isSealed ? nil : (summary.rowCount, summary.logEnd)))
  }

  /// Leaves out rows that decayed.
  func unexpectedDamage(_ found: ShardVerification) -> [ShardDamage] {
    found.damage.filter { damage in
      damage.ids.isEmpty || !damage.ids.allSatisfy(model.damageable.contains)
    }
  }
}

extension Model {
  func catalogEvidence(_ kind: Program.EvidenceKind) -> Evidence {
    switch kind {
    case .none: Evidence()
    case .all: catalog
    case .beforeLastCompaction: staleCatalog
    }
  }
}

extension Decay {
  /// Those that it damages.
  fileprivate func ids(in shard: Shard, _ workload: Workload) -> Set<String> {
    guard case .row(let row) = self else { return [] }
    let records = shard.readableRecords.map(\.record).filter { $0.rows.contains(row) }
    let changes = records.compactMap { Workload.change($0.batchID) }
    return Set(
      changes.flatMap { change in
        let ids = workload.batches[change].ids
        return (0..<ids.count).map(ids.string)
      })
  }
}

extension Step {
  fileprivate var phase: Program.Phase {
    switch self {
    case .commit: .commit
    case .seal: .seal
    case .compact: .compact
    case .scrub: .scrub
    case .stop: .stop
    case .restart, .decay: .open
    }
  }
}
