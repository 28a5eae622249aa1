// Files of a store, as somebody else may have left them. Part of FuzzTarget.swift.

internal import DiskSimulation
internal import IngestService
internal import ShardStore
internal import SystemIO

enum StoreFuzzing {
  private static let identity: ShardIdentity? = {
    guard let store = StoreUUID(bytes: Array(1...16)),
      let collection = StoreUUID(bytes: Array(17...32))
    else { return nil }
    return ShardIdentity(store: store, collection: collection, number: 3)
  }()

  /// Recovery of a log, as it is and with records whose checksums are right whatever they say.
  static func readLog(_ bytes: [UInt8]) -> String? {
    guard let identity else { return "no identity" }
    return plan(bytes, identity) ?? plan(withRightChecksums(bytes, identity), identity)
  }

  private static func plan(_ bytes: [UInt8], _ identity: ShardIdentity) -> String? {
    let plan = RecoveryPlan(
      log: BytesInMemory(bytes: bytes), logByteCount: bytes.count, identity: identity,
      evidence: RecoveryPlan.Evidence(
        headerRowCount: nil, catalogRowCount: 0, nextShardSequence: nil)
    ) { _ in true }
    guard plan.logEnd <= bytes.count else { return "the log ends behind its end" }
    var next = 0
    for found in plan.records {
      guard found.record.rows.lowerBound >= next else { return "rows overlap" }
      next = found.record.rows.upperBound
      _ = LogReader.payload(of: found, in: BytesInMemory(bytes: bytes))
    }
    return plan.rowCount >= next ? nil : "rows are not counted"
  }

  /// Makes a record of each place that begins like one.
  private static func withRightChecksums(_ bytes: [UInt8], _ identity: ShardIdentity) -> [UInt8] {
    var bytes = bytes
    var start = 0
    while start + CommitRecord.Layout.batchID <= bytes.count {
      defer { start += CommitRecord.alignment }
      guard bytes[start..<(start + 8)].elementsEqual(CommitRecord.magic) else { continue }
      let field = start + CommitRecord.Layout.recordByteCount
      let count = (0..<4).reduce(0) { $0 | Int(bytes[field + $1]) << (8 * $1) }
      guard count >= CommitRecord.Layout.batchID, start + count <= bytes.count else { continue }
      let record = Self.record(Array(bytes[start..<(start + count)]), identity)
      bytes.replaceSubrange(start..<(start + count), with: record)
    }
    return bytes
  }

  /// The same bytes as a record of this shard, with a right checksum.
  private static func record(_ bytes: [UInt8], _ identity: ShardIdentity) -> [UInt8] {
    typealias Layout = CommitRecord.Layout
    var bytes = bytes
    bytes.replaceSubrange(Layout.storeUUID..<(Layout.storeUUID + 16), with: identity.store.bytes)
    bytes.replaceSubrange(
      Layout.collectionUUID..<(Layout.collectionUUID + 16), with: identity.collection.bytes)
    bytes.replaceSubrange(
      Layout.shardNumber..<(Layout.shardNumber + 4), with: [UInt8(identity.number), 0, 0, 0])
    let head = CRC32C.of(Array(bytes[..<Layout.recordCRC32C]), continuing: identity.seed)
    let sum = CRC32C.of(Array(bytes[Layout.batchID...]), continuing: head)
    for byte in 0..<4 {
      bytes[Layout.recordCRC32C + byte] = UInt8(truncatingIfNeeded: sum >> (8 * byte))
    }
    return bytes
  }

  /// A header is one that Ingot writes, or none.
  static func readHeader(_ bytes: [UInt8]) -> String? {
    let general = unsafe bytes.withUnsafeBytes { try? NumPyHeader.parse($0) }
    let header = ShardHeader(Array(bytes.prefix(128)), dimension: 8, dtype: .float32)
    if let header, header.encoded != Array(bytes.prefix(128)) { return "another header" }
    if header != nil, general == nil { return "a header that is none to NumPy" }
    return nil
  }

  static func readSeal(_ bytes: [UInt8]) -> String? {
    guard let table = SealTable(payload: bytes) else { return nil }
    let expected = SealTable.blockCount(fileByteCount: table.fileByteCount)
    return table.blockCRC32Cs.count == expected ? nil : "\(table.blockCRC32Cs.count) blocks"
  }

  static func readIndex(_ bytes: [UInt8]) -> String? {
    guard let identity else { return "no identity" }
    return onDisk(bytes) { path, disk in
      _ = SealedIDIndex(path, disk: disk, identity: identity)
      return nil
    }
  }

  static func readStoreFile(_ bytes: [UInt8]) -> String? {
    onDisk(bytes) { path, disk in
      _ = try? StoreFile.read(path, disk: disk)
      _ = try? CollectionFile.read(path, disk: disk)
      return nil
    }
  }

  private static func onDisk(
    _ bytes: [UInt8], _ read: (_ path: String, SimulatedDisk) -> String?
  ) -> String? {
    let disk = SimulatedDisk()
    do throws(DiskError) { try disk.createFile("/file").write(bytes, at: 0) } catch {
      return "\(error)"
    }
    return read("/file", disk)
  }
}
