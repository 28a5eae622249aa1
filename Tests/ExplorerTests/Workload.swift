// What an explored program does, step by step. Carried out by Program.swift, judged by Model.swift.
// The workloads that are explored: Workloads.swift.

import IngestService
import ShardStore
import TestContent

/// Something that is committed as a whole. Its number, counted over a workload, is in its rows and its batch id.
enum Change: Sendable {
  /// Rows with the ids `KEY-0`, `KEY-1`, …
  case batch(key: Int, rowCount: Int)
  case deletion([String])
}

enum Step: Sendable {
  case commit([Change], Schedule)
  /// Every shard to which nothing comes any more.
  case seal
  /// Every shard with a dead row, and small ones.
  case compact
  /// Verify every shard, keep what is damaged in quarantine, make again what can be.
  case scrub
  /// The process ends, and another one opens the store: what was written is there, synced or not.
  case restart
  /// The same after a clean stop.
  case stop
  /// One bit of the first sealed shard changes on the disk; then a restart.
  case decay(Decay)
}

enum Schedule: CaseIterable {
  /// Each change is synced before the next is written.
  case oneByOne
  /// The next change is written before the one before it is synced.
  case overlapped
  /// The next change is written while a slow sync of the one before it runs: too late for that sync.
  case duringSync
  /// All changes are one group.
  case grouped
}

enum Decay: Sendable {
  case index, header, log
  case row(Int)
}

struct Workload: Sendable {
  let name: String
  let steps: [Step]
  /// The numbers of each step's changes.
  let changes: [Range<Int>]
  /// What each change commits.
  let batches: [Batch]
  /// All ids that occur.
  let ids: [String]

  static let dimension = 160
  /// Rows of one shard: small, so that two batches of three rows need two shards.
  static let shardRowCount = 4

  static let layout = StoreLayout(root: "/store")
  static let storeUUID = StoreUUID(bytes: Array(1...16))!
  static let collectionUUID = StoreUUID(bytes: Array(101...116))!

  static let configuration: ServiceConfiguration = {
    var configuration = ServiceConfiguration()
    configuration.shardByteCount = shardRowCount * dimension * 4
    configuration.allocation = AllocationSteps(rowsByteCount: 2048, logByteCount: 1024)
    configuration.diskReserveByteCount = 0
    return configuration
  }()

  init(_ name: String, _ steps: [Step]) {
    self.name = name
    self.steps = steps
    var changes: [Range<Int>] = []
    var batches: [Batch] = []
    var ids: Set<String> = []
    for step in steps {
      let first = batches.count
      if case .commit(let list, _) = step {
        for change in list {
          let batch = change.batch(number: batches.count)
          batches.append(batch)
          ids.formUnion((0..<batch.ids.count).map(batch.ids.string))
        }
      }
      changes.append(first..<batches.count)
    }
    self.changes = changes
    self.batches = batches
    self.ids = ids.sorted()
  }

  static func batchID(_ change: Int) -> String { "change-\(change)" }

  static func change(_ batchID: String) -> Int? { Int(batchID.dropFirst("change-".count)) }

  var decaysLogs: Bool {
    steps.contains { if case .decay(.log) = $0 { true } else { false } }
  }

  var decaysHeaders: Bool {
    steps.contains { if case .decay(.header) = $0 { true } else { false } }
  }

  var hasDecay: Bool { steps.contains { if case .decay = $0 { true } else { false } } }

  /// Where a row comes from.
  struct Place: Equatable {
    let change: Int
    let row: Int
  }

  /// What each id stands for after some changes, in their order.
  func rows(after commits: [Int]) -> [String: Place] {
    var rows: [String: Place] = [:]
    for number in commits {
      let batch = batches[number]
      for row in 0..<batch.ids.count {
        rows[batch.ids.string(row)] =
          batch.isDeletion ? nil : Place(change: number, row: row)
      }
    }
    return rows
  }
}

extension Change {
  /// Always the same for the same number.
  func batch(number: Int) -> Batch {
    switch self {
    case .deletion(let ids):
      return Batch(deletionOf: IDList(ids), dimension: Workload.dimension, dtype: .float32)
    case .batch(let key, let rowCount):
      let values = (0..<(rowCount * Workload.dimension)).map { Float(number * 8192 + $0 + 1) }
      return Batch(
        (0..<rowCount).map { "\(key)-\($0)" }, dimension: Workload.dimension, values: values)
    }
  }
}
