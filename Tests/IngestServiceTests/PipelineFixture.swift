// Batches for PipelineFaultTests.swift, and what other suites use of them.

import ShardStore
import SystemIO
import TestContent

/// Some batches, and the small shards that they go to.
struct PipelineFixture {
  /// Rows of each batch.
  let rowCounts: [Int]

  static let dimension = 160
  /// Rows of one shard: small, so that two batches of three rows need two shards.
  static let shardRowCount = 4

  static let root = "/store"
  static let layout = StoreLayout(root: root)
  static let storeUUID = StoreUUID(bytes: Array(1...16))!
  static let geometry = ShardGeometry(
    dimension: dimension, dtype: .float32, shardByteCount: shardRowCount * dimension * 4)
  static let steps = AllocationSteps(rowsByteCount: 2048, logByteCount: 1024)

  /// The batch of a number, always the same.
  static func batch(_ number: Int, rowCount: Int) -> Batch {
    let values = (0..<(rowCount * dimension)).map { Float(number * 100_000 + $0 + 1) }
    return Batch((0..<rowCount).map { "b\(number)-r\($0)" }, dimension: dimension, values: values)
  }

  static func batchID(_ number: Int) -> String { "batch-\(number)" }
}
