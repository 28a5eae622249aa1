// The three files of a shard that is written sealed. Used by ShardCompactor.swift; its counterpart for shards that
// grow: ShardWriter.swift.

internal import SystemIO

struct CompactedShard {
  private let identity: ShardIdentity
  private let geometry: ShardGeometry
  private let layout: ShardLayout
  private let disk: any Disk
  private let embeddings: any DiskFile
  private let log: any DiskFile
  private var rowCount = 0
  /// Rows of the batch whose record comes next.
  private var batchFirstRow = 0
  private var batchCRC32C: UInt32 = 0
  private var sums: RunningSums
  private var entries: [IDIndexEntry] = []
  private var records: [UInt8] = []
  private var logByteCount = 0
  private var chain: UInt32
  private var lastSequence = 0

  /// Records that are written at once.
  private static let recordsByteCountMax = 1 << 20

  init(
    identity: ShardIdentity, geometry: ShardGeometry, layout: ShardLayout, disk: any Disk
  ) throws(CompactionFailure) {
    self.identity = identity
    self.geometry = geometry
    self.layout = layout
    self.disk = disk
    chain = identity.seed
    sums = RunningSums(geometry: geometry)
    do throws(DiskError) {
      embeddings = try disk.createFile(layout.embeddings)
      log = try disk.createFile(layout.log)
    } catch {
      throw .disk(error)
    }
  }

  /// Rows that are copied at once: about a mebibyte.
  var runCountMax: Int { max(1, (1 << 20) / geometry.rowStride) }

  mutating func begin(replacing numbers: [Int], first sequence: Int) throws(CompactionFailure) {
    let first = CommitRecord.replacement(of: numbers, firstSequence: sequence, chain: chain)
    try append(first.record, payload: first.payload)
  }

  /// Adds rows of the batch whose record follows.
  mutating func append(_ rows: UnsafeRawBufferPointer) throws(DiskError) {
    try unsafe embeddings.write(rows, at: geometry.offset(ofRow: rowCount))
    unsafe sums.append(rows)
    batchCRC32C = CRC32C.of(rows, continuing: batchCRC32C)
    rowCount += rows.count / geometry.rowStride
  }

  /// Adds the record of a batch or deletion of another shard, with the ids that are left of it.
  mutating func append(
    _ source: CommitRecord, ids: IDList, from shard: Int
  ) throws(CompactionFailure) {
    var record = source
    record.firstRow = batchFirstRow
    record.rowCount = rowCount - batchFirstRow
    record.durableRowCount = 0
    record.rowsCRC32C = batchCRC32C
    if source.kind != .deletion {
      record.kind = .compacted
      record.origin =
        source.origin
        ?? CommitRecord.Origin(
          shard: shard, rows: source.rows, rowsCRC32C: source.rowsCRC32C)
    }
    let offset = try append(record, payload: ids.bytes)
    let isDeletion = record.kind == .deletion
    for number in 0..<ids.count {
      entries.append(
        IDIndexEntry(
          hash: ids.hash(number, seed: identity.idHashSeed),
          row: record.firstRow + (isDeletion ? 0 : number), isDeletion: isDeletion,
          idOffset: offset + record.payloadOffset + Int(ids.offsets[number])))
    }
    batchFirstRow = rowCount
    batchCRC32C = 0
  }

  /// - Returns: where the record stands.
  @discardableResult
  private mutating func append(
    _ record: CommitRecord, payload: [UInt8]
  ) throws(CompactionFailure) -> Int {
    var record = record
    record.previousCRC32C = chain
    let (bytes, crc32c) = record.encoded(identity: identity, payload: payload)
    let offset = logByteCount + records.count
    records += bytes
    chain = crc32c
    lastSequence = record.sequence
    if records.count >= Self.recordsByteCountMax { try writeRecords() }
    return offset
  }

  private mutating func writeRecords() throws(CompactionFailure) {
    do throws(DiskError) { try log.write(records, at: logByteCount) } catch { throw .disk(error) }
    logByteCount += records.count
    records.removeAll(keepingCapacity: true)
  }

  /// Header, index and seal record; everything synced.
  mutating func finish() throws(CompactionFailure) {
    guard let table = sums.table(rowCount: rowCount, seed: identity.seed) else {
      preconditionFailure("every row was counted")
    }
    let seal = CommitRecord.seal(
      rowCount: rowCount, lastSequence: lastSequence, chain: chain, table: table)
    try append(
      seal, payload: table.encoded(recordOverheadByteCount: CommitRecord.Layout.batchID))
    try writeRecords()
    do throws(DiskError) {
      try embeddings.write(geometry.header(rowCount: rowCount).encoded, at: 0)
      try embeddings.sync()
      try log.sync()
      try Shard.writeIndex(
        entries.sortedByHash(), layout: layout, identity: identity, disk: disk)
    } catch {
      throw .disk(error)
    }
  }
}
