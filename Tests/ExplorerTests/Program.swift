// A process that works on a simulated disk: opens the store as a start does, and takes the steps of a workload. Steps:
// Program+Steps.swift. Damage: Program+Damage.swift. What it finds is checked in Program+Check.swift.

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
  let phase = Mutex(Phase.open)
  let pipeline = CommitPipeline(events: CommitPipeline.Events(), clock: { 7 })

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

  static let layout = Workload.layout

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

  static let geometry = ShardGeometry(
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

  /// What `ingot rebuild` does about a log without its first record, and about a header that had not been advanced when
  /// that log was lost: of a shard that is sealed now, it would stay behind.
  private func repairLogs() throws {
    guard workload.decaysLogs, try disk.kind(of: opener.collection.shards) == .directory else {
      return
    }
    let names = try disk.names(inDirectory: opener.collection.shards)
    for number in names.compactMap(ShardIdentity.number(ofDirectoryName:)) {
      let repair = ShardRepair(opener, number: number)
      if opener.firstSequence(number) == nil {
        let batches = model.acknowledged.filter { model.receipts[$0]?.shard == number }
          .compactMap(knownBatch)
        _ = try repair.rebuildLog(from: batches, replacing: [])
      }
      if try repair.headerIsWrong() { try repair.repairHeader() }
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
