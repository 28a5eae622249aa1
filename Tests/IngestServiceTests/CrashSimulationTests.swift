// Promises P1, P2 and P3 after a power cut at every operation of small workloads.

import DiskSimulation
import IngestService
import ShardStore
import Synchronization
import SystemIO
import Testing

@Suite struct CrashSimulationTests {
  /// At least this many random subsets of unsynced changes, over all workloads.
  static let randomStateCount = 50_000

  @Test func keepsEveryAcknowledgedBatchAtEveryPowerCut() {
    let seed = UInt64.random(in: .min ... .max)
    var random = SeededGenerator(seed: seed)
    var counts = StateCounts()
    for workload in CrashWorkload.all {
      let (disk, uuid) = workload.run()
      for blockByteCount in [512, 4096] {
        explore(
          workload, disk: disk, uuid: uuid, blockByteCount: blockByteCount, random: &random,
          counts: &counts)
      }
    }
    print(
      "crash states: \(counts.total) (\(counts.systematic) systematic, \(counts.random) random, "
        + "\(counts.duringRecovery) during recovery), seed \(seed)")
    #expect(counts.random >= Self.randomStateCount)
    #expect(counts.duringRecovery > 1000)
  }

  struct StateCounts {
    var systematic = 0
    var random = 0
    var duringRecovery = 0
    var total: Int { systematic + random + duringRecovery }
  }

  private func explore(
    _ workload: CrashWorkload, disk: SimulatedDisk, uuid: StoreUUID, blockByteCount: Int,
    random: inout SeededGenerator, counts: inout StateCounts
  ) {
    var cut = PowerCut(disk, blockByteCount: blockByteCount)
    var acknowledged: Set<Int> = []
    while true {
      let pieceCount = cut.pieces.count
      var subsets: [(String, (Int) -> Bool)] = [("none", { _ in false }), ("all", { _ in true })]
      for piece in 0..<pieceCount {
        subsets.append(("only \(piece)", { $0 == piece }))
        subsets.append(("all but \(piece)", { $0 != piece }))
        subsets.append(("up to \(piece)", { $0 <= piece }))
      }
      counts.systematic += subsets.count
      if pieceCount > 1 {
        for _ in 0..<30 {
          let bits = (0..<pieceCount).map { _ in Bool.random(using: &random) }
          subsets.append(("\(bits)", { bits[$0] }))
        }
        counts.random += 30
      }
      for (name, isKept) in subsets {
        let crashed = cut.disk(keeping: isKept)
        let place = "\(workload), event \(cut.position), kept \(name), blocks \(blockByteCount)"
        check(crashed, workload, uuid, acknowledged, place)
      }
      exploreRecovery(
        cut.disk(keeping: { $0 % 2 == 0 }), workload, uuid, acknowledged, random: &random,
        counts: &counts)
      if cut.isAtEnd { break }
      if let number = cut.advance() { acknowledged.insert(number) }
    }
    #expect(acknowledged.count == workload.rowCounts.count)
  }

  /// The power goes again while the first recovery runs.
  private func exploreRecovery(
    _ crashed: SimulatedDisk, _ workload: CrashWorkload, _ uuid: StoreUUID,
    _ acknowledged: Set<Int>, random: inout SeededGenerator, counts: inout StateCounts
  ) {
    _ = open(crashed, uuid)
    var cut = PowerCut(crashed, blockByteCount: 512)
    while true {
      let bits = (0..<cut.pieces.count).map { _ in Bool.random(using: &random) }
      check(
        cut.disk(keeping: { bits[$0] }), workload, uuid, acknowledged,
        "\(workload), during recovery, event \(cut.position), kept \(bits)")
      counts.duringRecovery += 1
      if cut.isAtEnd { break }
      _ = cut.advance()
    }
  }

  private func open(_ disk: SimulatedDisk, _ uuid: StoreUUID) -> Collection? {
    let layout = CrashWorkload.layout.collection("c")
    guard (try? disk.kind(of: layout.shards)) == .directory else { return nil }
    let opener = ShardOpener(
      disk: disk, collection: layout, store: CrashWorkload.storeUUID, collectionUUID: uuid,
      geometry: CrashWorkload.geometry, steps: CrashWorkload.steps)
    var report = RecoveryReport()
    let collection = try? Collection.open(
      "c", opener: opener, catalogRowCounts: [:], catalogSequence: 0, report: &report)
    try? collection?.sealFinishedShards()
    return collection
  }

  /// Recovers, and compares what is there with what must be.
  private func check(
    _ disk: SimulatedDisk, _ workload: CrashWorkload, _ uuid: StoreUUID, _ acknowledged: Set<Int>,
    _ place: String
  ) {
    guard let collection = open(disk, uuid) else {
      if !acknowledged.isEmpty { Issue.record("P1: no collection after \(place)") }
      return
    }
    let present = contents(of: collection, place)
    for number in acknowledged where present[number] == nil {
      Issue.record("P1: batch \(number) was acknowledged and is gone: \(place)")
    }
    if present.keys.sorted() != Array(0..<present.count) {
      Issue.record("P2: batches \(present.keys.sorted()) leave a hole: \(place)")
    }
    for (number, rows) in present where rows != workload.rowCounts[number] {
      Issue.record("P2: batch \(number) has \(rows) rows: \(place)")
    }
    if !collection.unusableShards.isEmpty {
      Issue.record("P6: unusable \(collection.unusableShards): \(place)")
    }
    // P3: what is missing is sent again, and is there once.
    let pipeline = CommitPipeline(events: CommitPipeline.Events(), clock: { 8 })
    let missing = workload.rowCounts.indices.filter { present[$0] == nil }
    let answered = Mutex(0)
    let again = missing.map { number in
      CrashWorkload.pending(number, rowCount: workload.rowCounts[number], in: collection) { _ in
        answered.withLock { $0 += 1 }
      }
    }
    pipeline.sync(pipeline.write(again))
    if answered.withLock({ $0 }) != missing.count { Issue.record("P3: retry failed: \(place)") }
    if contents(of: collection, place).count != workload.rowCounts.count {
      Issue.record("P3: not all batches are there after a retry: \(place)")
    }
  }

  /// Rows of each batch that is there, each compared with what was sent, bit by bit.
  private func contents(of collection: Collection, _ place: String) -> [Int: Int] {
    var present: [Int: Int] = [:]
    for shard in collection.shards {
      let summary = shard.summary
      if !summary.damage.isEmpty { Issue.record("damage \(summary.damage): \(place)") }
      var reader = shard.logReader(from: 0)
      while let found = try? reader.next() {
        guard let number = Int(found.record.batchID.dropFirst("batch-".count)) else { continue }
        if present[number] != nil { Issue.record("P3: batch \(number) is there twice: \(place)") }
        present[number] = found.record.rowCount
        let sent = CrashWorkload.batch(number, rowCount: found.record.rowCount)
        let isEqual = try? shard.withRows(found.record.rows) { $0.elementsEqual(sent.rows) }
        if isEqual != true { Issue.record("P2: rows of batch \(number) differ: \(place)") }
        for row in 0..<sent.rowCount {
          guard case .row(_, found.record.firstRow + row) = collection.find(Array(sent.ids[row]))
          else {
            Issue.record("id \(sent.ids.string(row)) is not found: \(place)")
            continue
          }
        }
      }
    }
    return present
  }
}

/// A generator whose sequence is known from its seed: xorshift64*.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed | 1 }

  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_F491_4F6C_DD1D
  }
}
