// Batches for PipelineFaultTests.swift, and what other suites use of them.

import ShardStore
import SystemIO

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
    var ids = IDList.Builder()
    for row in 0..<rowCount { try! ids.append("b\(number)-r\(row)") }
    let rows = RowMemory(values)
    return Batch(
      ids: try! ids.finish(), dimension: dimension, dtype: .float32, rows: rows.bytes,
      bodySHA256: nil, owner: rows)
  }

  static func batchID(_ number: Int) -> String { "batch-\(number)" }
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
