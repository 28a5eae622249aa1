// Promise P4 for what is larger than a bit: sectors, blocks and shards that are lost, old or in the wrong place.

import DiskSimulation
import Dispatch
import Foundation
import IngestService
import ShardStore
import Synchronization
import SystemIO
import Testing

@Suite struct RandomDamageTests {
  static let environment = ProcessInfo.processInfo.environment
  static let damageCount = environment["INGOT_DAMAGE_COUNT"].flatMap(Int.init) ?? 20_000
  /// Of the first damage; the next ones count on. The ordinary run is the same each time, the thorough one goes to new
  /// places.
  static let firstSeed =
    environment["INGOT_DAMAGE_SEED"].flatMap(UInt64.init)
    ?? (environment["INGOT_THOROUGH"] == "1" ? .random(in: 0...UInt64(UInt32.max)) : 1)

  /// 300 rows.
  static let manyRowCounts = [1, 17, 2, 30, 50, 3, 64, 9, 1, 23, 100]

  /// Shards of 1 MiB, some MiB in all.
  static let plan = StorePlan(
    shardByteCount: 1 << 20,
    allocation: AllocationSteps(rowsByteCount: 1 << 18, logByteCount: 1 << 14),
    collections: [
      CollectionPlan(
        name: "clip", dimension: 256,
        rowCounts: manyRowCounts + [300, 423, 2, 600, 200] + manyRowCounts),
      CollectionPlan(
        name: "text.v2", dimension: 192, dtype: .float16,
        rowCounts: [1500] + manyRowCounts + [700, 7] + manyRowCounts),
    ])

  @Test func namesEveryLargerDamage() throws {
    let sources = try DamageSources(Self.plan)

    let counts = Self.run(sources)

    FaultCounts.record(
      ["D2", "D3"], test: "RandomDamageTests.namesEveryLargerDamage",
      injections: counts.total - counts.unchanged, violations: counts.problems.count)
    print("larger damages: \(counts), seeds from \(Self.firstSeed) on (INGOT_DAMAGE_SEED)")
    #expect(counts.problems == [])
    #expect(counts.coarse.count <= Self.damageCount / 200, "\(counts.coarse)")
    #expect(counts.total == Self.damageCount)
    #expect(counts.unchanged < Self.damageCount / 5)
  }

  struct Counts: CustomStringConvertible {
    var total = 0
    var named: [RandomDamage.Kind: Int] = [:]
    /// The bytes were the same as before.
    var unchanged = 0
    /// Of the catalog, which says the same.
    var inert = 0
    /// Named with the shard, and with other rows than those of the records that were hit: records of a log that were
    /// moved within it, or a log and the catalog hit by one damage.
    var coarse: [String] = []
    /// Not named.
    var problems: [String] = []

    mutating func add(_ other: Counts) {
      total += other.total
      named.merge(other.named, uniquingKeysWith: +)
      unchanged += other.unchanged
      inert += other.inert
      coarse += other.coarse
      problems += other.problems
    }

    var description: String {
      let kinds = RandomDamage.Kind.allCases.map { "\(named[$0] ?? 0) \($0)" }
      return "\(total), of which named: \(kinds.joined(separator: ", ")); \(unchanged) changed no "
        + "byte, \(inert) inert, \(coarse.count) coarse, \(problems.count) not named"
    }
  }

  private static func run(_ sources: DamageSources) -> Counts {
    let threadCount = ProcessInfo.processInfo.activeProcessorCount
    let counts = Mutex(Counts())
    DispatchQueue.concurrentPerform(iterations: threadCount) { thread in
      var more = Counts()
      do {
        let copy = try sources.store.copy()
        let catalog = StoreVerifier(root: copy.root).openCatalog()
        for number in stride(from: thread, to: damageCount, by: threadCount) {
          let damage = RandomDamage(seed: firstSeed &+ UInt64(number), sources)
          try examine(damage, copy, catalog, sources, &more)
        }
      } catch {
        more.problems.append("\(error)")
      }
      let result = more
      counts.withLock { $0.add(result) }
    }
    return counts.withLock { $0 }
  }

  private static func examine(
    _ damage: RandomDamage, _ copy: ReferenceStore, _ catalog: VerifiedCatalog,
    _ sources: DamageSources, _ counts: inout Counts
  ) throws {
    counts.total += 1
    var touched = damage.touched(sources)
    guard touched.isAnything else {
      counts.unchanged += 1
      return
    }
    try damage.apply(to: copy.root, sources)
    defer { try? damage.undo(in: copy.root, sources) }
    let isCatalog = touched.files.contains("catalog.sqlite")
    if isCatalog, (try? CatalogDump(copy.layout.catalogFile)) == sources.dump {
      touched.files.remove("catalog.sqlite")
      if !touched.isAnything {
        counts.inert += 1
        return
      }
    }
    let judgement: Judgement
    do {
      let verifier = StoreVerifier(root: copy.root)
      judgement = sources.map.judge(
        try verifier.verify(catalog: isCatalog ? nil : catalog), touched)
    } catch {
      judgement = "\(error)".contains("store.json") ? .damage : .wrong("\(error)")
    }
    switch judgement {
    case .damage, .note: counts.named[damage.kind, default: 0] += 1
    case .wrong where damage.kind == .blockOfTheFile || damage.kind == .blockOfAnotherFile:
      counts.coarse.append("\(damage): \(judgement)")
    case .tornTail, .nothing, .wrong: counts.problems.append("\(damage): \(judgement)")
    }
  }
}
