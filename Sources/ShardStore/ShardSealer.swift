// Ends a shard for good: exact size, checksums of every block, a sorted index.
// Format: docs/shard-format.md "Seal table". Each step can be done again after a crash.

internal import Synchronization
package import SystemIO

extension Shard {
  /// What went wrong while sealing.
  package enum SealFailure: Error, Sendable {
    case disk(DiskError)
    /// Rows no longer match the checksum of their batch; the shard stays open and is not written to.
    case damaged(Damage)
  }

  /// Seals a shard to which nothing is appended any more and whose rows are all durable. One that is sealed stays
  /// as it is.
  package func seal(in collection: CollectionLayout, disk: any Disk) throws(SealFailure) {
    let outcome = sealing.withLock { _ -> Result<Void, SealFailure> in
      guard !summary.isSealed else { return .success(()) }
      do throws(SealFailure) { return .success(try sealNow(in: collection, disk: disk)) } catch {
        return .failure(error)
      }
    }
    try outcome.get()
  }

  private func sealNow(in collection: CollectionLayout, disk: any Disk) throws(SealFailure) {
    let layout = collection.shard(identity.number)
    var check = BatchCheck(batches: openBatches(), geometry: geometry)
    do throws(DiskError) {
      let table = try cutAndSum(layout, disk: disk, check: &check)
      if check.damage == nil { try finish(table, layout: layout, disk: disk) }
    } catch {
      throw .disk(error)
    }
    if let damage = check.damage {
      state.withLock { $0.damage.append(damage) }
      throw .damaged(damage)
    }
  }

  private func finish(
    _ table: SealTable, layout: ShardLayout, disk: any Disk
  ) throws(DiskError) {
    try Self.writeIndex(openEntries(), layout: layout, identity: identity, disk: disk)
    try appendSealRecord(table, layout: layout, disk: disk)
    becomeSealed(table, layout: layout, disk: disk)
  }

  private func openBatches() -> [CommittedBatch] {
    state.withLock { state in
      guard case .open(_, let batches) = state.phase else { return [] }
      return batches
    }
  }

  /// Gives embeddings.npy its exact size and final header, durably, and gives its checksums: those kept while
  /// the rows were written, or for a shard that was recovered, computed from the file.
  private func cutAndSum(
    _ layout: ShardLayout, disk: any Disk, check: inout BatchCheck
  ) throws(DiskError) -> SealTable {
    let rowCount = self.rowCount
    let file = try disk.openFile(layout.embeddings, for: .readWrite)
    let byteCount = geometry.offset(ofRow: rowCount)
    try file.write(geometry.header(rowCount: rowCount).encoded, at: 0)
    try file.truncate(toByteCount: byteCount)
    try file.sync()
    if let table = sums.withLock({ $0?.table(rowCount: rowCount, seed: identity.seed) }) {
      return table
    }
    return unsafe SealTable(of: embeddings, fileByteCount: byteCount, seed: identity.seed) {
      unsafe check.read($0, $1)
    }
  }

  private func openEntries() -> [IDIndexEntry] {
    state.withLock { state in
      guard case .open(let index, _) = state.phase else { return [] }
      return index.sortedEntries()
    }
  }

  static func writeIndex(
    _ entries: [IDIndexEntry], layout: ShardLayout, identity: ShardIdentity, disk: any Disk
  ) throws(DiskError) {
    if try disk.kind(of: layout.newIndex) != nil {
      try disk.removeFile(layout.newIndex)
      try disk.syncDirectory(layout.root)
    }
    let file = try disk.createFile(layout.newIndex)
    try file.write(SealedIDIndex.encoded(entries, identity: identity), at: 0)
    try file.sync()
    try disk.rename(layout.newIndex, to: layout.index)
    try disk.syncDirectory(layout.root)
  }

  private func appendSealRecord(
    _ table: SealTable, layout: ShardLayout, disk: any Disk
  ) throws(DiskError) {
    let (logEnd, rowCount, lastSequence, chain) = state.withLock {
      ($0.logEnd, $0.rowCount, $0.lastSequence, $0.lastRecordCRC32C)
    }
    let record = CommitRecord.seal(
      rowCount: rowCount, lastSequence: lastSequence, chain: chain, table: table)
    let payload = table.encoded(recordOverheadByteCount: CommitRecord.Layout.batchID)
    let bytes = record.encoded(identity: identity, payload: payload).bytes
    let log = try disk.openFile(layout.log, for: .readWrite)
    try log.write(bytes, at: logEnd)
    try log.truncate(toByteCount: logEnd + bytes.count)
    try log.sync()
  }

  func becomeSealed(_ table: SealTable, layout: ShardLayout, disk: any Disk) {
    // The index is loaded while the state is locked, so all that it needs is taken along.
    let (log, identity, logEnd) = (log, identity, state.withLock { $0.logEnd })
    let sealed = SealedShard(table: table, seed: identity.seed) {
      let records = LogReader(log, identity: identity, range: 0..<logEnd)
      return Self.index(madeFrom: records, of: log, layout: layout, identity: identity, disk: disk)
    }
    state.withLock { $0.phase = .sealed(sealed) }
  }

  /// Writes ids.index anew from the log, and uses it from now on.
  ///
  /// - Returns: false when it could not be made.
  package func makeIndexAgain(in collection: CollectionLayout, disk: any Disk) -> Bool {
    let layout = collection.shard(identity.number)
    let records = LogReader(log, identity: identity, range: 0..<state.withLock { $0.logEnd })
    let (entries, isWhole) = Self.indexEntries(records, of: log, identity: identity)
    guard isWhole else { return false }
    do throws(DiskError) {
      try Self.writeIndex(entries, layout: layout, identity: identity, disk: disk)
    } catch {
      return false
    }
    let table = state.withLock { state -> SealTable? in
      if case .sealed(let sealed) = state.phase { sealed.table } else { nil }
    }
    if let table { becomeSealed(table, layout: layout, disk: disk) }
    return true
  }

  /// Opens ids.index; when it is lost or damaged, makes it again from the log.
  ///
  /// Where it cannot be written, and where the log is damaged, it is kept in memory: what it knows is found,
  /// and no file claims to be whole.
  private static func index(
    madeFrom records: LogReader, of log: any DiskMapping, layout: ShardLayout,
    identity: ShardIdentity, disk: any Disk
  ) -> SealedIDIndex {
    if let index = SealedIDIndex(layout.index, disk: disk, identity: identity) { return index }
    let (entries, isWhole) = indexEntries(records, of: log, identity: identity)
    if isWhole {
      try? writeIndex(entries, layout: layout, identity: identity, disk: disk)
      if let index = SealedIDIndex(layout.index, disk: disk, identity: identity) { return index }
    }
    return SealedIDIndex(entries, identity: identity)
  }
}

/// Compares the rows of batches with their checksums, as the bytes of the file go by: wrong bytes are found
/// before they get a right checksum.
private struct BatchCheck {
  private let batches: [Shard.CommittedBatch]
  private let geometry: ShardGeometry
  private var position = 0
  private var sum: UInt32 = 0
  private(set) var damage: Damage?

  init(batches: [Shard.CommittedBatch], geometry: ShardGeometry) {
    self.batches = batches
    self.geometry = geometry
  }

  /// The next bytes of the file; `range` says where they are.
  mutating func read(_ range: Range<Int>, _ bytes: UnsafeRawBufferPointer) {
    while position < batches.count {
      let rows = geometry.bytes(ofRows: batches[position].rows)
      let part = rows.clamped(to: range)
      guard !part.isEmpty else { return }
      let start = part.lowerBound - range.lowerBound
      sum = CRC32C.of(
        unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<(start + part.count)]),
        continuing: sum)
      guard part.upperBound == rows.upperBound else { return }
      if sum != batches[position].rowsCRC32C, damage == nil {
        damage = Damage(
          rows: batches[position].rows, reason: "their checksum is wrong; found while sealing")
      }
      position += 1
      sum = 0
    }
  }
}
