// A workload on the simulated disk, and what must be there after a crash. Used by CrashSimulationTests.swift.

import DiskSimulation
import IngestService
import ShardStore
import Synchronization
import SystemIO

/// Some batches, committed in some interleaving of the pipeline's two steps.
struct CrashWorkload: CustomStringConvertible {
  /// Rows of each batch.
  let rowCounts: [Int]
  let schedule: Schedule

  enum Schedule: CaseIterable {
    /// Each batch is synced before the next is written.
    case oneByOne
    /// The next batch is written before the one before it is synced.
    case overlapped
    /// All batches are one group.
    case grouped
  }

  var description: String { "rows \(rowCounts), \(schedule)" }

  static let dimension = 160
  /// Rows of one shard: small, so that two batches of three rows need two shards.
  static let shardRowCount = 4

  /// Every number of batches up to three, with batches that fit together and batches that do not.
  static let all: [CrashWorkload] = {
    let counts =
      [[1], [3], [1, 1], [1, 3], [3, 1], [3, 3]]
      + [[1, 1, 1], [1, 1, 3], [3, 1, 3], [3, 3, 3], [1, 3, 3], [5, 1, 1]]
    return counts.flatMap { rowCounts in
      Schedule.allCases.map { CrashWorkload(rowCounts: rowCounts, schedule: $0) }
    }
  }()

  static let root = "/store"
  static let layout = StoreLayout(root: root)
  static let storeUUID = StoreUUID(bytes: Array(1...16))!
  static let geometry = ShardGeometry(
    dimension: dimension, dtype: .float32, shardByteCount: shardRowCount * dimension * 4)
  static let steps = AllocationSteps(rowsByteCount: 2048, logByteCount: 1024)

  /// The batch of a number, always the same.
  static func batch(_ number: Int, rowCount: Int) -> Batch {
    let values = (0..<(rowCount * dimension)).map { Float(number * 100_000 + $0 + 1) }
    var ids = IDList.Builder()
    for row in 0..<rowCount { try! ids.append("b\(number)-r\(row)") }
    let rows = RowMemory(values)
    return Batch(
      ids: try! ids.finish(), dimension: dimension, dtype: .float32, rows: rows.bytes,
      bodySHA256: nil, owner: rows)
  }

  static func batchID(_ number: Int) -> String { "batch-\(number)" }

  /// Runs the workload; the trace notes the number of each batch when it is acknowledged.
  func run() -> (disk: SimulatedDisk, collectionUUID: StoreUUID) {
    let disk = SimulatedDisk()
    try! disk.makeDirectory(Self.root)
    try! disk.syncDirectory("/")
    try! disk.makeDirectory(Self.layout.collections)
    try! disk.syncDirectory(Self.root)
    let collection = try! Collection.create(
      "c", store: Self.storeUUID, geometry: Self.geometry, layout: Self.layout, disk: disk,
      steps: Self.steps)
    let pipeline = CommitPipeline(events: CommitPipeline.Events(), clock: { 7 })
    let batches = rowCounts.enumerated().map { number, rowCount in
      Self.pending(number, rowCount: rowCount, in: collection) { _ in disk.note(number) }
    }
    switch schedule {
    case .oneByOne:
      for batch in batches { pipeline.sync(pipeline.write([batch])) }
    case .overlapped:
      var before: [WrittenPart] = []
      for batch in batches {
        let parts = pipeline.write([batch])
        pipeline.sync(before)
        before = parts
      }
      pipeline.sync(before)
    case .grouped:
      pipeline.sync(pipeline.write(batches))
    }
    try! collection.sealFinishedShards()
    return (disk, collection.opener.collectionUUID)
  }

  static func pending(
    _ number: Int, rowCount: Int, in collection: Collection,
    acknowledged: @escaping @Sendable (Receipt) -> Void
  ) -> PendingBatch {
    PendingBatch(
      collection: collection, batch: batch(number, rowCount: rowCount), batchID: batchID(number)
    ) { outcome in
      if case .success(let receipt) = outcome { acknowledged(receipt) }
    }
  }
}

/// Keeps the rows of a test's batch alive.
final class RowMemory: @unchecked Sendable {
  let bytes: UnsafeRawBufferPointer

  init(_ values: [Float]) {
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: values.count * 4, alignment: 64)
    values.withUnsafeBytes { memory.copyMemory(from: $0) }
    bytes = UnsafeRawBufferPointer(memory)
  }

  deinit { bytes.deallocate() }
}
