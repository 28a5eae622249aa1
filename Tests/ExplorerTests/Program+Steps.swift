// The steps of a workload, as the threads of a service take them, one after the other. Steps: Workload.swift.

import DiskSimulation
import ShardStore
import Synchronization
import SystemIO

@testable import IngestService

extension Program {
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
