// Small shards on the simulated disk, made by the real writer, and ways to damage them. Used by all suites here.

import DiskSimulation
import ShardStore
import Synchronization
import SystemIO
import TestContent

/// One collection of small shards with fixed UUIDs, clock and contents.
struct ShardFixture {
  let disk = SimulatedDisk()
  let collection = StoreLayout(root: "").collection("c")
  let geometry: ShardGeometry
  let steps: AllocationSteps

  static let store = StoreUUID(bytes: Array(1...16))!
  static let collectionUUID = StoreUUID(bytes: Array(17...32))!
  static let committedAt: Int64 = 1_700_000_000_000_000_000

  init(
    dimension: Int = 8, rowCapacity: Int = 64,
    steps: AllocationSteps = AllocationSteps(rowsByteCount: 4096, logByteCount: 1024)
  ) {
    geometry = ShardGeometry(
      dimension: dimension, dtype: .float32, shardByteCount: rowCapacity * dimension * 4)
    self.steps = steps
    try! disk.makeDirectory(StoreLayout(root: "").collections)
    try! disk.makeDirectory(collection.root)
    try! disk.makeDirectory(collection.shards)
    try! disk.makeDirectory(collection.newShards)
    for path in ["/", StoreLayout(root: "").collections, collection.root] {
      try! disk.syncDirectory(path)
    }
  }

  func identity(_ number: Int) -> ShardIdentity {
    ShardIdentity(store: Self.store, collection: Self.collectionUUID, number: number)
  }

  var opener: ShardOpener { opener(on: disk) }

  func opener(on disk: SimulatedDisk) -> ShardOpener {
    ShardOpener(
      disk: disk, collection: collection, store: Self.store, collectionUUID: Self.collectionUUID,
      geometry: geometry, steps: steps)
  }

  /// The batch of a number, always the same: ids `NUMBER-ROW`, values that all differ.
  func batch(_ number: Int, rowCount: Int) -> BatchToWrite {
    let dimension = geometry.dimension
    let values = (0..<(rowCount * dimension)).map { Float(number * 1000 + $0) + 0.5 }
    let batch = Batch(
      (0..<rowCount).map { "\(number)-\($0)" }, dimension: dimension, values: values)
    let seed = identity(0).idHashSeed
    return BatchToWrite(
      batch: batch, batchID: "batch-\(number)", sequence: number, committedAt: Self.committedAt,
      idHashes: (0..<rowCount).map { batch.ids.hash($0, seed: seed) })
  }

  /// A shard with these batches, durable and visible. Batch numbers go on from `firstSequence`.
  func write(_ rowCounts: [Int], number: Int = 0, firstSequence: Int = 1) throws -> ShardWriter {
    let writer = try ShardWriter.create(
      identity(number), geometry: geometry, firstRowCount: 1, in: collection, disk: disk,
      steps: steps)
    for (index, rowCount) in rowCounts.enumerated() {
      let written = try writer.write([batch(firstSequence + index, rowCount: rowCount)])
      try writer.syncRows()
      try writer.syncLog()
      if index == 0 {
        try writer.makeVisible(firstBatches: written, in: collection, disk: disk)
      }
      try writer.publish(written)
    }
    return writer
  }

  /// An open shard as a clean stop leaves it.
  func writeOpen(_ rowCounts: [Int], number: Int = 0, firstSequence: Int = 1) throws {
    try write(rowCounts, number: number, firstSequence: firstSequence).giveBackSpace()
  }

  func writeSealed(_ rowCounts: [Int], number: Int = 0, firstSequence: Int = 1) throws {
    let writer = try write(rowCounts, number: number, firstSequence: firstSequence)
    try writer.shard.seal(in: collection, disk: disk)
  }

  func verify(
    _ number: Int = 0, evidence: ShardVerifier.Evidence = .init()
  ) -> ShardVerification {
    ShardVerifier(opener).verify(number, evidence: evidence)
  }

  func open(
    _ number: Int = 0, catalogRowCount: Int = 0, nextShardSequence: Int? = nil
  ) throws -> OpenedShard {
    try opener.open(
      number, catalogRowCount: catalogRowCount, nextShardSequence: nextShardSequence)
  }
}

// MARK: - Files and damage

extension ShardFixture {
  func layout(_ number: Int = 0) -> ShardLayout { collection.shard(number) }

  func bytes(_ path: String) throws -> [UInt8] {
    let file = try disk.openFile(path, for: .read)
    return try file.read(offset: 0, byteCount: try file.byteCount())
  }

  func cut(_ path: String, to byteCount: Int) throws {
    try disk.openFile(path, for: .readWrite).truncate(toByteCount: byteCount)
  }

  func overwrite(_ path: String, at offset: Int, with bytes: [UInt8]) throws {
    try disk.openFile(path, for: .readWrite).write(bytes, at: offset)
  }

  func flipBit(_ bit: Int, in path: String) { disk.flipBit(bit, in: path) }

  /// Flips a bit of a value of a row.
  func damageRow(_ row: Int, number: Int = 0) {
    flipBit((geometry.offset(ofRow: row) + 5) * 8, in: layout(number).embeddings)
  }

  /// Where each record of a log starts.
  func recordOffsets(_ number: Int = 0) throws -> [Int] {
    let log = try bytes(layout(number).log)
    var offsets: [Int] = []
    for offset in stride(from: 0, to: log.count - 8, by: 8)
    where Array(log[offset..<(offset + 8)]) == CommitRecord.magic {
      offsets.append(offset)
    }
    return offsets
  }
}

/// Counts the operations of a disk, for faults at each of them.
final class OperationCounter: Sendable {
  private let value = Mutex(0)

  func next() -> Int {
    value.withLock { value in
      defer { value += 1 }
      return value
    }
  }
}
