// Deletions and compactions under power cuts: after each of them a store is as after some whole step, and never
// behind what was acknowledged. Batches alone: CrashSimulationTests.swift.

import DiskSimulation
import IngestService
import ShardStore
import Synchronization
import SystemIO
import Testing

@Suite struct RewriteCrashTests {
  /// What a workload does, one step after the other.
  enum Step: CustomStringConvertible {
    /// Rows with the ids `KEY-0`, `KEY-1`, …, whose numbers tell the step.
    case append(key: Int, rowCount: Int)
    case delete([String])
    case compact

    var description: String {
      switch self {
      case .append(let key, let rowCount): "append \(key) × \(rowCount)"
      case .delete(let ids): "delete \(ids)"
      case .compact: "compact"
      }
    }
  }

  static let workloads: [[Step]] = [
    [.append(key: 1, rowCount: 2), .delete(["1-0"]), .append(key: 1, rowCount: 1)],
    [.delete(["none"]), .append(key: 1, rowCount: 1), .delete(["1-0"])],
    [
      .append(key: 1, rowCount: 3), .append(key: 2, rowCount: 3), .append(key: 1, rowCount: 3),
      .compact, .delete(["2-1"]),
    ],
    [
      .append(key: 1, rowCount: 3), .append(key: 2, rowCount: 3), .delete(["1-0", "2-2"]),
      .append(key: 3, rowCount: 3), .append(key: 4, rowCount: 3), .compact,
      .append(key: 2, rowCount: 3), .compact,
    ],
    [
      .append(key: 1, rowCount: 4), .append(key: 1, rowCount: 4), .append(key: 1, rowCount: 4),
      .append(key: 2, rowCount: 1), .compact,
    ],
  ]

  /// By id, the step that its row was written in.
  typealias State = [String: Int]

  /// The state after each number of steps, from none to all.
  private func states(_ steps: [Step]) -> [State] {
    var states: [State] = [[:]]
    for (number, step) in steps.enumerated() {
      var state = states[number]
      switch step {
      case .append(let key, let rowCount):
        for row in 0..<rowCount { state["\(key)-\(row)"] = number }
      case .delete(let ids): for id in ids { state[id] = nil }
      case .compact: break
      }
      states.append(state)
    }
    return states
  }

  @Test(arguments: workloads.indices)
  func leavesAStoreAsAfterAWholeStep(_ index: Int) {
    let steps = Self.workloads[index]
    let seed = UInt64.random(in: .min ... .max)
    var random = SeededGenerator(seed: seed)
    let (disk, uuid) = run(steps)
    var stateCount = 0
    for blockByteCount in [512, 4096] {
      var cut = PowerCut(disk, blockByteCount: blockByteCount)
      var doneCount = 0
      while true {
        for (name, isKept) in subsets(of: cut.pieces.count, &random) {
          stateCount += 1
          check(
            cut.disk(keeping: isKept), uuid, steps, doneCount: doneCount,
            "\(steps), event \(cut.position), kept \(name), blocks \(blockByteCount), seed \(seed)")
        }
        if cut.isAtEnd { break }
        if cut.advance() != nil { doneCount += 1 }
      }
      #expect(doneCount == steps.count)
    }
    print("crash states of rewriting: \(stateCount), seed \(seed)")
    #expect(stateCount > 500)
  }

  private func subsets(
    of count: Int, _ random: inout SeededGenerator
  ) -> [(String, (Int) -> Bool)] {
    var subsets: [(String, (Int) -> Bool)] = [("none", { _ in false }), ("all", { _ in true })]
    for piece in 0..<count {
      subsets.append(("only \(piece)", { $0 == piece }))
      subsets.append(("all but \(piece)", { $0 != piece }))
      subsets.append(("up to \(piece)", { $0 <= piece }))
    }
    for _ in 0..<(count > 1 ? 10 : 0) {
      let bits = (0..<count).map { _ in Bool.random(using: &random) }
      subsets.append(("\(bits)", { bits[$0] }))
    }
    return subsets
  }

  // MARK: - Running

  private func run(_ steps: [Step]) -> (disk: SimulatedDisk, uuid: StoreUUID) {
    let disk = SimulatedDisk()
    try! disk.makeDirectory(CrashWorkload.root)
    try! disk.syncDirectory("/")
    try! disk.makeDirectory(CrashWorkload.layout.collections)
    try! disk.syncDirectory(CrashWorkload.root)
    let collection = try! Collection.create(
      "c", store: CrashWorkload.storeUUID, geometry: CrashWorkload.geometry,
      layout: CrashWorkload.layout, disk: disk, steps: CrashWorkload.steps)
    for (number, step) in steps.enumerated() {
      #expect(Self.run(step, number, in: collection))
      disk.note(number)
    }
    return (disk, collection.opener.collectionUUID)
  }

  /// - Returns: whether it was acknowledged.
  private static func run(_ step: Step, _ number: Int, in collection: Collection) -> Bool {
    switch step {
    case .append(let key, let rowCount):
      let values = (0..<(rowCount * CrashWorkload.dimension)).map { Float(number * 1000 + $0 % 7) }
      let memory = RowMemory(values)
      let ids = list((0..<rowCount).map { "\(key)-\($0)" })
      return commit(
        Batch(
          ids: ids, dimension: CrashWorkload.dimension, dtype: .float32, rows: memory.bytes,
          bodySHA256: nil, owner: memory), number, in: collection)
    case .delete(let ids):
      return commit(
        Batch(
          deletionOf: list(ids), dimension: CrashWorkload.dimension, dtype: .float32), number,
        in: collection)
    case .compact:
      try! collection.sealFinishedShards()
      let live = LiveRows(collection)
      let plan = collection.compactionPlan(live, deadPercent: 1)
      for group in plan.groups {
        let parts = live.parts.filter { group.contains($0.shard.identity.number) }
        let outcome = try? collection.compact(parts) { _ in
          true
        } replaced: { _ in
        }
        guard let outcome, outcome.left == nil else { return false }
      }
      return true
    }
  }

  private static func list(_ ids: [String]) -> IDList {
    var builder = IDList.Builder()
    for id in ids { try! builder.append(id) }
    return try! builder.finish()
  }

  private static func commit(_ batch: Batch, _ number: Int, in collection: Collection) -> Bool {
    let isDone = Mutex(false)
    let pipeline = CommitPipeline(events: CommitPipeline.Events(), clock: { 7 })
    let pending = PendingBatch(collection: collection, batch: batch, batchID: "step-\(number)") {
      outcome in
      if case .success = outcome { isDone.withLock { $0 = true } }
    }
    pipeline.sync(pipeline.write([pending]))
    return isDone.withLock { $0 }
  }

  // MARK: - Checking

  private func check(
    _ disk: SimulatedDisk, _ uuid: StoreUUID, _ steps: [Step], doneCount: Int, _ place: String
  ) {
    let layout = CrashWorkload.layout.collection("c")
    guard (try? disk.kind(of: layout.shards)) == .directory else {
      if doneCount > 0 { Issue.record("no collection after \(place)") }
      return
    }
    let opener = ShardOpener(
      disk: disk, collection: layout, store: CrashWorkload.storeUUID, collectionUUID: uuid,
      geometry: CrashWorkload.geometry, steps: CrashWorkload.steps)
    var report = RecoveryReport()
    guard
      let collection = try? Collection.open(
        "c", opener: opener, catalogRowCounts: [:], catalogSequence: 0, report: &report)
    else {
      Issue.record("not opened after \(place)")
      return
    }
    if !collection.unusableShards.isEmpty {
      Issue.record("unusable \(collection.unusableShards): \(place)")
    }
    let states = states(steps)
    let found = state(of: collection, place)
    // The step that was under way may be there, if it is there as a whole.
    guard let at = (doneCount..<states.count).first(where: { states[$0] == found }) else {
      Issue.record("\(found) is no state from \(states[doneCount]) on: \(place)")
      return
    }
    for number in at..<steps.count where !Self.run(steps[number], number, in: collection) {
      Issue.record("step \(number) failed afterwards: \(place)")
    }
    if state(of: collection, place) != states.last {
      Issue.record("the rest of the steps does not lead to the end: \(place)")
    }
  }

  /// What is served, each row compared with what was written.
  private func state(of collection: Collection, _ place: String) -> State {
    var state: State = [:]
    let keys = Set((0..<5).flatMap { key in (0..<5).map { "\(key)-\($0)" } })
    for id in keys {
      switch collection.find(Array(id.utf8)) {
      case .row(let shard, let row):
        let value = try? shard.withRows(row..<(row + 1)) { $0.loadUnaligned(as: Float.self) }
        guard let value else {
          Issue.record("\(id) is damaged: \(place)")
          continue
        }
        state[id] = Int(value) / 1000
      case .damaged, .lost: Issue.record("\(id) is damaged: \(place)")
      case .deleted, .unknown: break
      }
    }
    var ids = LiveIDs(collection)
    var listed: Set<String> = []
    while let id = ids.next() { listed.insert(String(decoding: id, as: UTF8.self)) }
    if listed != Set(state.keys) { Issue.record("listed \(listed), found \(state): \(place)") }
    if LiveRows(collection).rowCount != state.count { Issue.record("live rows differ: \(place)") }
    return state
  }
}
