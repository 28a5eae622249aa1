// The birth of a shard: in full under a temporary name, and under its own once a batch in it is durable.
// Appended to by ShardWriter.swift.

internal import Synchronization
package import SystemIO

extension ShardWriter {
  /// Creates an empty shard under its temporary name.
  ///
  /// - Parameters:
  ///   - identity: has a number that no shard with an acknowledged batch has.
  ///   - geometry: has room for the first batch.
  ///   - firstRowCount: rows of that batch; at least their blocks are reserved.
  /// - Throws: `isOutOfSpace` when blocks cannot be reserved. What was made until then is removed, now or, where
  ///   that fails as well, by the next attempt or at the next start.
  package static func create(
    _ identity: ShardIdentity, geometry: ShardGeometry, firstRowCount: Int,
    in collection: CollectionLayout,
    disk: any Disk, steps: AllocationSteps
  ) throws(DiskError) -> ShardWriter {
    let layout = collection.newShard(identity.number)
    try removeNewShard(identity.number, in: collection, disk: disk)
    let visible = collection.shard(identity.number).root
    if try disk.kind(of: visible) != nil {
      // It got its name, and the name could not be made durable: nothing in it was acknowledged.
      try disk.rename(visible, to: layout.root)
      try removeNewShard(identity.number, in: collection, disk: disk)
    }
    try disk.makeDirectory(layout.root)
    do throws(DiskError) {
      return try fill(
        layout, identity, geometry: geometry, firstRowCount: firstRowCount, disk: disk, steps: steps
      )
    } catch {
      // What it has taken of a full disk would keep the disk full.
      try? removeNewShard(identity.number, in: collection, disk: disk)
      throw error
    }
  }

  private static func fill(
    _ layout: ShardLayout, _ identity: ShardIdentity, geometry: ShardGeometry, firstRowCount: Int,
    disk: any Disk, steps: AllocationSteps
  ) throws(DiskError) -> ShardWriter {
    let embeddings = try disk.createFile(layout.embeddings)
    let log = try disk.createFile(layout.log)
    // First the log, which needs all of this: the rows take what is left ahead of their need.
    try log.write([UInt8](repeating: 0, count: steps.logByteCount), at: 0)
    let capacityEnd = geometry.offset(ofRow: geometry.rowCapacity)
    let embeddingsByteCount = try extend(
      embeddings, from: 0, to: geometry.offset(ofRow: firstRowCount),
      ahead: min(
        capacityEnd,
        ShardHeader.byteCount + aheadByteCount(steps, of: layout.embeddings, on: disk)))
    try embeddings.write(geometry.header(rowCount: 0).encoded, at: 0)

    let shard = Shard(
      identity: identity, geometry: geometry,
      embeddings: try embeddings.map(byteCount: capacityEnd),
      log: try log.map(byteCount: ShardGeometry.logByteCountMax),
      state: Shard.State(
        phase: .open(OpenIDIndex(), []), rowCount: 0, logEnd: 0, firstSequence: 0,
        lastSequence: 0, lastRecordCRC32C: identity.seed),
      sums: RunningSums(geometry: geometry))
    return ShardWriter(
      shard: shard, embeddings: embeddings, log: log, steps: steps, disk: disk,
      tail: Tail(
        rowCount: 0, logEnd: 0, chain: identity.seed, embeddingsByteCount: embeddingsByteCount,
        logByteCount: steps.logByteCount))
  }

  /// Gives a shard its own name, once its first batches are durable.
  ///
  /// The header is durable before the name is: a reader that sees the shard sees its rows.
  package func makeVisible(
    firstBatches: [WrittenBatch], in collection: CollectionLayout, disk: any Disk
  ) throws(DiskError) {
    let rowCount = firstBatches.last.map(\.rows.upperBound) ?? 0
    try embeddings.write(shard.geometry.header(rowCount: rowCount).encoded, at: 0)
    try embeddings.sync()
    let number = shard.identity.number
    let newLayout = collection.newShard(number)
    try disk.syncDirectory(newLayout.root)
    // A name that is not durable cannot be durably given away.
    try disk.syncDirectory(collection.newShards)
    try disk.rename(newLayout.root, to: collection.shard(number).root)
    try disk.syncDirectory(collection.shards)
    try disk.syncDirectory(collection.newShards)
  }

  /// Removes a shard whose rows are all in another one. Out of sight first, so that nobody sees half of it.
  package static func removeShard(
    _ number: Int, in collection: CollectionLayout, disk: any Disk
  ) throws(DiskError) {
    guard try disk.kind(of: collection.shard(number).root) == .directory else { return }
    try removeNewShard(number, in: collection, disk: disk)
    try disk.rename(collection.shard(number).root, to: collection.newShard(number).root)
    try removeNewShard(number, in: collection, disk: disk)
  }

  /// Removes what an interrupted creation left; nothing in it was acknowledged.
  package static func removeNewShard(
    _ number: Int, in collection: CollectionLayout, disk: any Disk
  ) throws(DiskError) {
    let layout = collection.newShard(number)
    guard try disk.kind(of: layout.root) == .directory else { return }
    // First, so that it cannot come back half empty under the name of a whole one.
    try disk.syncDirectory(collection.shards)
    try disk.syncDirectory(collection.newShards)
    for name in try disk.names(inDirectory: layout.root) {
      try disk.removeFile(layout.root + "/" + name)
    }
    try disk.removeDirectory(layout.root)
  }
}
