// Opens a shard as it is found at start: sealed ones by their last record, open ones by their log.
// What an open one holds is decided by RecoveryPlan.swift.

internal import Synchronization
package import SystemIO

/// A shard that was found on disk.
package struct OpenedShard: Sendable {
  package let shard: Shard
  /// For a shard that can be appended to; nil for sealed and damaged ones.
  package let writer: ShardWriter?
  /// What was cut and why, for the log; nil when nothing was.
  package let tornTail: String?
}

/// A shard that cannot be opened at all. The others are.
package enum ShardUnusable: Error, Sendable {
  case disk(DiskError)
  case noRecord(shard: Int)
}

package struct ShardOpener: Sendable {
  package let disk: any Disk
  package let collection: CollectionLayout
  package let store: StoreUUID
  package let collectionUUID: StoreUUID
  /// Shape of the rows, and the capacity of new shards.
  package let geometry: ShardGeometry
  package let steps: AllocationSteps

  package init(
    disk: any Disk, collection: CollectionLayout, store: StoreUUID, collectionUUID: StoreUUID,
    geometry: ShardGeometry, steps: AllocationSteps
  ) {
    self.disk = disk
    self.collection = collection
    self.store = store
    self.collectionUUID = collectionUUID
    self.geometry = geometry
    self.steps = steps
  }

  package func identity(_ number: Int) -> ShardIdentity {
    ShardIdentity(store: store, collection: collectionUUID, number: number)
  }

  /// Opens one shard, recovering it when it is open.
  ///
  /// - Parameters:
  ///   - catalogRowCount: Rows that the catalog has seen committed; 0 without a catalog. Asked for a shard that is open.
  ///   - nextShardSequence: The first sequence of the next shard, when there is one.
  package func open(
    _ number: Int, catalogRowCount: @autoclosure () -> Int, nextShardSequence: Int?
  ) throws(ShardUnusable) -> OpenedShard {
    do throws(DiskError) {
      if let shard = try openSealed(number) {
        return OpenedShard(shard: shard, writer: nil, tornTail: nil)
      }
    } catch {
      throw .disk(error)
    }
    return try recover(
      number, catalogRowCount: catalogRowCount(), nextShardSequence: nextShardSequence)
  }

  /// The first sequence in a shard's log; nil when its first record is damaged.
  package func firstSequence(_ number: Int) -> Int? { firstRecord(number)?.sequence }

  /// The first record in a shard's log; nil when it is damaged.
  package func firstRecord(_ number: Int) -> CommitRecord? {
    guard let log = try? disk.openFile(collection.shard(number).log, for: .read),
      let byteCount = try? log.byteCount(), byteCount > 0,
      byteCount <= ShardGeometry.logFileByteCountMax,
      let mapping = try? log.map(byteCount: byteCount)
    else { return nil }
    var reader = LogReader(mapping, identity: identity(number), range: 0..<byteCount)
    return (try? reader.next())?.record
  }
}

// MARK: - Sealed

extension ShardOpener {
  /// The shard, when its log ends with a valid seal record and its files have the sizes it names.
  private func openSealed(_ number: Int) throws(DiskError) -> Shard? {
    let layout = collection.shard(number)
    let log = try disk.openFile(layout.log, for: .read)
    let logByteCount = try log.byteCount()
    let identity = identity(number)
    guard logByteCount > SealTable.trailerByteCount,
      logByteCount <= ShardGeometry.logFileByteCountMax,
      let sealByteCount = SealTable.recordByteCount(
        ofTrailer: try log.read(
          offset: logByteCount - SealTable.trailerByteCount, byteCount: SealTable.trailerByteCount)),
      sealByteCount <= logByteCount
    else { return nil }
    let logMapping = try log.map(byteCount: logByteCount)
    let logEnd = logByteCount - sealByteCount
    var reader = LogReader(logMapping, identity: identity, range: logEnd..<logByteCount)
    guard let found = try? reader.next(), found.record.kind == .seal,
      let table = SealTable(payload: LogReader.payload(of: found, in: logMapping))
    else { return nil }
    let embeddings = try disk.openFile(layout.embeddings, for: .read)
    let expected = geometry.offset(ofRow: found.record.rowCount)
    let byteCount = try embeddings.byteCount()
    guard byteCount == expected, table.fileByteCount == expected else { return nil }

    let shard = Shard(
      identity: identity, geometry: geometry.fitting(rowCount: found.record.rowCount),
      embeddings: try embeddings.map(byteCount: byteCount), log: logMapping,
      state: Shard.State(
        phase: .open(OpenIDIndex(), []), rowCount: found.record.rowCount, logEnd: logEnd,
        firstSequence: firstSequence(number) ?? found.record.sequence,
        lastSequence: found.record.sequence,
        lastRecordCRC32C: found.record.previousCRC32C))
    shard.becomeSealed(table, layout: layout, disk: disk)
    return shard
  }
}

// MARK: - Open

extension ShardOpener {
  private struct Files {
    let embeddings: any DiskFile
    let log: any DiskFile
    let embeddingsMapping: any DiskMapping
    let logMapping: any DiskMapping
    let embeddingsByteCount: Int
    let logByteCount: Int
    let geometry: ShardGeometry

    /// Rows that the file is long enough for.
    var rowCount: Int {
      max(0, (embeddingsByteCount - ShardHeader.byteCount) / geometry.rowStride)
    }
  }

  private func recover(
    _ number: Int, catalogRowCount: Int, nextShardSequence: Int?
  ) throws(ShardUnusable) -> OpenedShard {
    var opened: OpenedShard?
    do throws(DiskError) {
      let files = try openFiles(number)
      let plan = try plan(
        number, files: files, catalogRowCount: catalogRowCount,
        nextShardSequence: nextShardSequence)
      if !plan.records.isEmpty {
        opened = try carryOut(plan, files: files, identity: identity(number))
      }
    } catch {
      throw .disk(error)
    }
    guard let opened else { throw .noRecord(shard: number) }
    return opened
  }

  private func plan(
    _ number: Int, files: Files, catalogRowCount: Int, nextShardSequence: Int?
  ) throws(DiskError) -> RecoveryPlan {
    let header = ShardHeader(
      try files.embeddings.read(offset: 0, byteCount: ShardHeader.byteCount),
      dimension: geometry.dimension, dtype: geometry.dtype)
    return RecoveryPlan(
      log: files.logMapping, logByteCount: files.logByteCount, identity: identity(number),
      evidence: RecoveryPlan.Evidence(
        headerRowCount: header?.rowCount, catalogRowCount: catalogRowCount,
        nextShardSequence: nextShardSequence)
    ) { record in
      guard record.rows.upperBound <= files.rowCount else { return false }
      let found = unsafe files.embeddingsMapping.withBytes(geometry.bytes(ofRows: record.rows)) {
        CRC32C.of($0)
      }
      return found == record.rowsCRC32C
    }
  }

  private func openFiles(_ number: Int) throws(DiskError) -> Files {
    let layout = collection.shard(number)
    let embeddings = try disk.openFile(layout.embeddings, for: .readWrite)
    let log = try disk.openFile(layout.log, for: .readWrite)
    let logByteCount = try log.byteCount()
    guard logByteCount <= ShardGeometry.logFileByteCountMax else {
      throw .tooLong(layout.log, logByteCount)
    }
    let embeddingsByteCount = try embeddings.byteCount()
    let rowsInFile = (embeddingsByteCount - ShardHeader.byteCount) / geometry.rowStride
    let geometry = self.geometry.fitting(rowCount: max(0, rowsInFile))
    return Files(
      embeddings: embeddings, log: log,
      embeddingsMapping: try embeddings.map(
        byteCount: geometry.offset(ofRow: geometry.rowCapacity)),
      logMapping: try log.map(byteCount: ShardGeometry.logFileByteCountMax),
      embeddingsByteCount: embeddingsByteCount, logByteCount: logByteCount,
      geometry: geometry)
  }

  /// Makes what is kept durable; where nothing is damaged, cuts what is torn and advances the watermark.
  private func carryOut(
    _ plan: RecoveryPlan, files: Files, identity: ShardIdentity
  ) throws(DiskError) -> OpenedShard {
    var damage = plan.damage
    if files.rowCount < plan.rowCount {
      // A batch that is only partly in the file cannot be checked, so none of it is served.
      let cutBatch = plan.records.first { $0.record.rows.upperBound > files.rowCount }
      damage.append(
        Damage(
          rows: (cutBatch?.record.firstRow ?? files.rowCount)..<plan.rowCount,
          reason: "embeddings.npy was cut to \(files.embeddingsByteCount) bytes"))
    }
    try makeDurable(plan, files: files)
    if damage.isEmpty { try cutTail(plan, files: files) }
    let shard = Shard(
      identity: identity, geometry: files.geometry, embeddings: files.embeddingsMapping,
      log: files.logMapping,
      state: state(of: plan, in: files, rowCount: plan.rowCount, damage: damage))
    guard damage.isEmpty, let last = plan.records.last else {
      return OpenedShard(shard: shard, writer: nil, tornTail: plan.tornTail)
    }
    let writer = ShardWriter(
      shard: shard, embeddings: files.embeddings, log: files.log, steps: steps, disk: disk,
      tail: ShardWriter.Tail(
        rowCount: plan.rowCount, logEnd: plan.logEnd, chain: last.record.recordCRC32C,
        embeddingsByteCount: files.geometry.offset(ofRow: plan.rowCount),
        logByteCount: plan.logEnd))
    return OpenedShard(shard: shard, writer: writer, tornTail: plan.tornTail)
  }

  /// Writes the kept rows and records above the watermark again before they are synced: after a failed
  /// sync the page cache can hold pages that count as written and never were.
  private func makeDurable(_ plan: RecoveryPlan, files: Files) throws(DiskError) {
    // A deletion has no rows by which the watermark could count it.
    let proven = plan.records.lastIndex {
      !$0.record.rows.isEmpty && $0.record.rows.upperBound <= plan.watermark
    }
    let unproven = plan.records[(proven.map { $0 + 1 } ?? 0)...]
    for found in unproven {
      let rows = files.geometry.bytes(ofRows: found.record.rows)
      try files.embeddings.write(
        files.embeddings.read(offset: rows.lowerBound, byteCount: rows.count),
        at: rows.lowerBound)
      try files.log.write(
        files.log.read(offset: found.offset, byteCount: found.record.byteCount), at: found.offset)
    }
    guard !unproven.isEmpty else { return }
    try files.embeddings.sync()
    try files.log.sync()
  }

  /// Cuts what lies behind the last row and record, then advances the watermark.
  private func cutTail(_ plan: RecoveryPlan, files: Files) throws(DiskError) {
    try files.embeddings.truncate(toByteCount: files.geometry.offset(ofRow: plan.rowCount))
    try files.log.truncate(toByteCount: plan.logEnd)
    try files.embeddings.sync()
    try files.log.sync()
    try files.embeddings.write(
      files.geometry.header(rowCount: plan.rowCount).encoded, at: 0)
    try files.embeddings.sync()
  }

  private func state(
    of plan: RecoveryPlan, in files: Files, rowCount: Int, damage: [Damage]
  ) -> Shard.State {
    var index = OpenIDIndex()
    var committed: [Shard.CommittedBatch] = []
    for found in plan.records {
      var entries: [IDIndexEntry] = []
      _ = Shard.append(found, of: files.logMapping, identity: identity(0), to: &entries)
      for entry in entries { index.append(entry) }
      guard !found.record.rows.isEmpty else { continue }
      committed.append(
        Shard.CommittedBatch(
          rows: found.record.rows, rowsCRC32C: found.record.rowsCRC32C, isChecked: false))
    }
    return Shard.State(
      phase: .open(index, committed), rowCount: rowCount, logEnd: plan.logEnd,
      firstSequence: plan.records.first?.record.sequence ?? 0,
      lastSequence: plan.records.last?.record.sequence ?? 0,
      lastRecordCRC32C: plan.records.last?.record.recordCRC32C ?? 0, damage: damage)
  }
}
