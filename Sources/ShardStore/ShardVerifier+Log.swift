// commits.log under verification: records, chain of sequences, seal, tail. ids.index: ShardIndexCheck.swift.

internal import SystemIO

extension ShardVerifier {
  /// Reads the log. Bytes that cannot be read become zero, so that their record is damaged.
  func readLog(
    _ number: Int, byteCountMax: Int, _ result: inout ShardVerification
  ) throws(DiskError) -> BytesInMemory {
    let path = opener.collection.shard(number).log
    let file = try opener.disk.openFile(path, for: .read)
    let byteCount = min(try file.byteCount(), byteCountMax)
    guard byteCount <= ShardGeometry.logFileByteCountMax else { throw .tooLong(path, byteCount) }
    result.byteCount += byteCount
    var bytes: [UInt8] = []
    bytes.reserveCapacity(byteCount)
    while bytes.count < byteCount {
      let count = min(Self.pieceByteCount, byteCount - bytes.count)
      do throws(DiskError) {
        let piece = try file.read(offset: bytes.count, byteCount: count)
        guard !piece.isEmpty else { break }
        bytes += piece
      } catch {
        result.notes.append("\(shardName(number)): byte \(bytes.count) of commits.log: \(error)")
        bytes += [UInt8](repeating: 0, count: count)
      }
      progress(count)
    }
    return BytesInMemory(bytes: bytes)
  }

  /// The seal record at the end of a log, when it is right.
  static func wholeSeal(
    _ log: BytesInMemory, identity: ShardIdentity
  ) -> (record: CommitRecord, table: SealTable)? {
    guard
      let byteCount = SealTable.recordByteCount(ofTrailer: log.suffix(SealTable.trailerByteCount)),
      byteCount <= log.byteCount
    else { return nil }
    let range = (log.byteCount - byteCount)..<log.byteCount
    var reader = LogReader(log, identity: identity, range: range)
    guard let found = try? reader.next(), found.record.kind == .seal, found.end == log.byteCount,
      let table = SealTable(payload: LogReader.payload(of: found, in: log))
    else { return nil }
    return (found.record, table)
  }

  /// Whether a log that has no right seal record was sealed once: it ends with the word of a seal, or with
  /// a record that calls itself a seal and fills the file. A seal that is torn does neither, since the file
  /// is cut to its size after the record was written.
  static func claimsSeal(_ log: BytesInMemory, logEnd: Int) -> Bool {
    if log.suffix(SealTable.trailer.count) == SealTable.trailer { return true }
    guard log.byteCount - logEnd >= CommitRecord.Layout.batchID else { return false }
    return unsafe log.withBytes(logEnd..<log.byteCount) { bytes in
      let kind: UInt16 = unsafe bytes.integer(at: CommitRecord.Layout.kind)
      let byteCount: UInt32 = unsafe bytes.integer(at: CommitRecord.Layout.recordByteCount)
      return unsafe bytes[..<8].elementsEqual(CommitRecord.magic)
        && kind == CommitRecord.Kind.seal.rawValue && Int(byteCount) == bytes.count
    }
  }

  /// Records that are right each by itself, and do not fit together.
  func checkRecords(_ contents: ShardContents, _ result: inout ShardVerification) {
    if contents.plan.records.isEmpty {
      result.foreignIdentity = ShardIdentity(ofFirstRecordIn: contents.log)
      if let identity = result.foreignIdentity {
        result.damage.append(
          ShardDamage(
            reason: "commits.log is that of shard \(identity.number) of collection "
              + "\(identity.collection) of store \(identity.store)"))
      } else if contents.plan.damage.isEmpty {
        result.damage.append(ShardDamage(reason: "commits.log has no record of this shard"))
      }
    }
    var last: CommitRecord?
    for found in contents.plan.records {
      let record = found.record
      if let last, record.firstRow == last.rows.upperBound, record.sequence != last.sequence + 1 {
        result.damage.append(
          ShardDamage(
            reason: "batches \(last.sequence + 1)..<\(record.sequence) are missing before row "
              + "\(record.firstRow)"))
      }
      let hasIDs = LogReader.withPayload(of: found, in: contents.log) {
        unsafe IDList.isWellFormed($0, of: record)
      }
      if !hasIDs {
        result.damage.append(
          ShardDamage(rows: record.rows, reason: "their ids in commits.log are malformed"))
      }
      last = record
    }
  }

  /// - Parameter isFollowed: Whether there is a shard behind this one.
  func checkSeal(
    _ contents: ShardContents, isFollowed: Bool, _ result: inout ShardVerification
  ) {
    switch contents.seal {
    case .none: noteMissingSeal(isFollowed: isFollowed, &result)
    case .damaged:
      result.isSealed = true
      result.damage.append(
        ShardDamage(reason: "the seal record is damaged; the next start seals the shard again"))
    case .whole(let seal, let table):
      result.isSealed = true
      result.lastSequence = seal.sequence
      guard contents.plan.damage.isEmpty, let last = contents.plan.records.last
      else { return }
      if seal.previousCRC32C != last.record.recordCRC32C || seal.sequence != last.record.sequence
        || seal.rowCount != last.record.rows.upperBound
        || table.fileByteCount != contents.geometry.offset(ofRow: seal.rowCount)
      {
        result.damage.append(ShardDamage(reason: "the seal record does not follow the last batch"))
      }
    }
  }

  /// A seal record of which nothing is left looks like one that was not written yet. Then there is an index
  /// already, or a shard behind; a crash amid sealing leaves the same.
  private func noteMissingSeal(isFollowed: Bool, _ result: inout ShardVerification) {
    let index = opener.collection.shard(result.number).index
    let hasIndex = (try? opener.disk.kind(of: index)) == .file
    guard hasIndex || isFollowed else { return }
    result.notes.append(
      "\(shardName(result.number)): \(hasIndex ? "ids.index" : "the next shard") is there and the seal "
        + "record in commits.log is not: sealing was interrupted, or the record is lost; the next start "
        + "seals the shard")
  }

  /// What lies behind the last record of an open shard is zero, or torn.
  func checkTail(_ contents: ShardContents, _ result: inout ShardVerification) {
    guard case .none = contents.seal else { return }
    let logEnd = contents.plan.logEnd
    let isZero = unsafe contents.log.withBytes(logEnd..<contents.log.byteCount) {
      unsafe $0.isAllZero
    }
    guard !isZero || contents.plan.tornTail != nil else { return }
    // What follows the last record of a shard with damage may be the damage itself.
    let isDamaged = contents.plan.damage.contains { $0.rows.upperBound == contents.plan.rowCount }
    guard !isDamaged else { return }
    let reason = contents.plan.tornTail.map { ": \($0)" } ?? ""
    result.notes.append(
      "\(shardName(result.number)): torn tail, will be cut at the next start\(reason)")
  }
}

extension ShardIdentity {
  /// Whose log it is, when its first record is whole.
  fileprivate init?(ofFirstRecordIn log: BytesInMemory) {
    guard log.byteCount >= CommitRecord.Layout.batchID else { return nil }
    let (store, collection, number) = unsafe log.withBytes(0..<log.byteCount) { bytes in
      let uuids = [CommitRecord.Layout.storeUUID, CommitRecord.Layout.collectionUUID].map {
        offset in
        unsafe StoreUUID(bytes: [UInt8](bytes[offset..<(offset + StoreUUID.byteCount)]))
      }
      return unsafe (
        uuids[0], uuids[1],
        Int(bytes.integer(at: CommitRecord.Layout.shardNumber, as: UInt32.self))
      )
    }
    guard let store, let collection, number <= Self.numberMax else { return nil }
    self.init(store: store, collection: collection, number: number)
    var reader = LogReader(log, identity: self, range: 0..<log.byteCount)
    guard (try? reader.next()) != nil else { return nil }
  }
}
