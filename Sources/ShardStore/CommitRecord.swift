// The record that makes a batch exist, or ids be gone. Format: docs/shard-format.md "Commit record".
// Written by ShardWriter.swift, read by LogReader.swift.

package import SystemIO

/// The fixed part of a record, whose checksum, identity and lengths were right.
package struct CommitRecord: Equatable, Sendable {
  package enum Kind: UInt16, Sendable {
    case batch = 1
    case seal = 2
    /// Ids that are gone from here on; it has no rows.
    case deletion = 3
    /// What compaction left of a batch, in a place of its own.
    case compacted = 4
    /// Names the shards that this one replaces; the first record of a compacted shard.
    case replacement = 5

    /// Whether the payload is a list of ids.
    var hasIDs: Bool {
      switch self {
      case .batch, .deletion, .compacted: true
      case .seal, .replacement: false
      }
    }
  }

  package var kind: Kind
  package var byteCount: Int
  package var previousCRC32C: UInt32
  package var sequence: Int
  package var firstRow: Int
  package var rowCount: Int
  package var durableRowCount: Int
  /// Nanoseconds since 1970.
  package var committedAt: Int64
  package var contentDigest: Digest128
  /// 32 bytes, when the client declared it.
  package var bodySHA256: [UInt8]?
  package var rowsCRC32C: UInt32
  package var batchID: String
  package var payloadByteCount: Int
  package var recordCRC32C: UInt32
  /// Of a compacted batch: where it was committed, as its receipt says for ever.
  package var origin: Origin?

  /// The place of a batch when it was committed, and the checksum of all its rows.
  package struct Origin: Equatable, Sendable {
    package var shard: Int
    package var rows: Range<Int>
    package var rowsCRC32C: UInt32

    /// Offsets from the start of the payload; each is the previous one plus its size.
    package enum Layout {
      package static let shard = 0
      package static let rowsCRC32C = shard + 4
      package static let firstRow = rowsCRC32C + 4
      package static let rowCount = firstRow + 8
      package static let ids = rowCount + 8
    }

    package init(shard: Int, rows: Range<Int>, rowsCRC32C: UInt32) {
      self.shard = shard
      self.rows = rows
      self.rowsCRC32C = rowsCRC32C
    }
  }

  /// Of a deletion, empty: the rows before it are those that it reaches.
  package var rows: Range<Int> { firstRow..<(firstRow + rowCount) }

  /// Where ids or seal table start, counted from the record's start.
  package var payloadOffset: Int { Layout.batchID + batchID.utf8.count + originByteCount }

  /// Bytes of ids or seal table.
  package var contentByteCount: Int { payloadByteCount - originByteCount }

  private var originByteCount: Int { origin == nil ? 0 : Origin.Layout.ids }

  /// Offsets of the fields; each is the previous one plus its size.
  package enum Layout {
    package static let magic = 0
    package static let version = magic + 8
    package static let kind = version + 2
    package static let recordByteCount = kind + 2
    package static let storeUUID = recordByteCount + 4
    package static let collectionUUID = storeUUID + 16
    package static let shardNumber = collectionUUID + 16
    package static let previousCRC32C = shardNumber + 4
    package static let sequence = previousCRC32C + 4
    package static let firstRow = sequence + 8
    package static let rowCount = firstRow + 8
    package static let durableRowCount = rowCount + 8
    package static let committedAt = durableRowCount + 8
    package static let contentDigest = committedAt + 8
    package static let bodySHA256 = contentDigest + 16
    package static let rowsCRC32C = bodySHA256 + 32
    package static let batchIDByteCount = rowsCRC32C + 4
    package static let flags = batchIDByteCount + 2
    package static let payloadByteCount = flags + 2
    package static let recordCRC32C = payloadByteCount + 4
    package static let batchID = recordCRC32C + 4
  }

  package static let magic = Array("INGOTREC".utf8)
  package static let version: UInt16 = 1
  package static let alignment = 8
  static let hasBodySHA256: UInt16 = 1
}

extension CommitRecord {
  /// A batch or deletion that is to be written; lengths, chain and checksum follow then.
  package init(
    kind: Kind, sequence: Int, rows: Range<Int>, rowsCRC32C: UInt32, committedAt: Int64,
    contentDigest: Digest128, bodySHA256: [UInt8]?, batchID: String, origin: Origin?
  ) {
    self.init(
      kind: kind, byteCount: 0, previousCRC32C: 0, sequence: sequence,
      firstRow: rows.lowerBound, rowCount: rows.count, durableRowCount: rows.lowerBound,
      committedAt: committedAt, contentDigest: contentDigest, bodySHA256: bodySHA256,
      rowsCRC32C: rowsCRC32C, batchID: batchID, payloadByteCount: 0, recordCRC32C: 0,
      origin: origin)
  }

  /// The record that a compacted shard begins with.
  static func replacement(
    of numbers: [Int], firstSequence: Int, chain: UInt32
  ) -> (record: CommitRecord, payload: [UInt8]) {
    var payload = ByteWriter()
    for number in numbers { payload.append(UInt32(number)) }
    let record = CommitRecord(
      kind: .replacement, byteCount: 0, previousCRC32C: chain, sequence: firstSequence,
      firstRow: 0, rowCount: 0, durableRowCount: 0, committedAt: 0,
      contentDigest: Digest128(high: 0, low: 0), bodySHA256: nil, rowsCRC32C: 0, batchID: "",
      payloadByteCount: 0, recordCRC32C: 0)
    return (record, payload.bytes)
  }

  /// The record that ends a shard.
  static func seal(
    rowCount: Int, lastSequence: Int, chain: UInt32, table: SealTable
  ) -> CommitRecord {
    CommitRecord(
      kind: .seal, byteCount: 0, previousCRC32C: chain, sequence: lastSequence, firstRow: 0,
      rowCount: rowCount, durableRowCount: rowCount, committedAt: 0,
      contentDigest: Digest128(high: 0, low: 0), bodySHA256: nil,
      rowsCRC32C: table.fileCRC32C, batchID: "", payloadByteCount: 0, recordCRC32C: 0)
  }

  /// The bytes of a record, and its checksum for the next record's chain.
  ///
  /// `byteCount`, `payloadByteCount` and `recordCRC32C` of `self` are not looked at: they follow from the rest.
  package func encoded(identity: ShardIdentity, payload ids: [UInt8]) -> (
    bytes: [UInt8], crc32c: UInt32
  ) {
    let payload = (origin?.encoded ?? []) + ids
    let contentByteCount = Layout.batchID + batchID.utf8.count + payload.count
    let byteCount = (contentByteCount + Self.alignment - 1) / Self.alignment * Self.alignment
    var out = ByteWriter(reserving: byteCount)
    out.append(Self.magic)
    out.append(Self.version)
    out.append(kind.rawValue)
    out.append(UInt32(byteCount))
    out.append(identity.store.bytes)
    out.append(identity.collection.bytes)
    out.append(UInt32(identity.number))
    out.append(previousCRC32C)
    out.append(UInt64(sequence))
    out.append(UInt64(firstRow))
    out.append(UInt64(rowCount))
    out.append(UInt64(durableRowCount))
    out.append(committedAt)
    out.append(contentDigest.high)
    out.append(contentDigest.low)
    out.append(bodySHA256 ?? [UInt8](repeating: 0, count: 32))
    out.append(rowsCRC32C)
    out.append(UInt16(batchID.utf8.count))
    out.append(bodySHA256 == nil ? 0 : Self.hasBodySHA256)
    out.append(UInt32(payload.count))
    out.append(UInt32(0))
    out.append(batchID.utf8)
    out.append(payload)
    out.pad(to: Self.alignment)
    let crc32c = unsafe out.bytes.withUnsafeBytes {
      unsafe Self.checksum(ofRecord: $0, seed: identity.seed)
    }
    out.set(crc32c, at: Layout.recordCRC32C)
    return (out.bytes, crc32c)
  }

  /// The checksum of all bytes of a record but those of the checksum itself.
  static func checksum(ofRecord bytes: UnsafeRawBufferPointer, seed: UInt32) -> UInt32 {
    let head = CRC32C.of(
      unsafe UnsafeRawBufferPointer(rebasing: bytes[..<Layout.recordCRC32C]), continuing: seed)
    return CRC32C.of(
      unsafe UnsafeRawBufferPointer(rebasing: bytes[Layout.batchID...]), continuing: head)
  }

  /// Why bytes are not a record of this shard.
  package enum Problem: Error, Equatable, Sendable {
    /// All zero: nothing was ever written here.
    case zero
    case magic
    case version(UInt16)
    case length
    case checksum(expected: UInt32, found: UInt32)
    case identity
    case field(String)
  }

  /// The record at the start of `bytes`, which may go on behind it.
  package static func decode(
    _ bytes: UnsafeRawBufferPointer, identity: ShardIdentity
  ) throws(Problem) -> CommitRecord {
    guard bytes.count >= Layout.batchID else {
      throw unsafe bytes.allSatisfy({ $0 == 0 }) ? .zero : .length
    }
    guard unsafe bytes[..<8].elementsEqual(magic) else {
      throw unsafe bytes[..<Layout.batchID].allSatisfy({ $0 == 0 }) ? .zero : .magic
    }
    let version: UInt16 = unsafe bytes.integer(at: Layout.version)
    guard version == Self.version else { throw .version(version) }
    let byteCount = Int(unsafe bytes.integer(at: Layout.recordByteCount, as: UInt32.self))
    let idByteCount = Int(unsafe bytes.integer(at: Layout.batchIDByteCount, as: UInt16.self))
    let payloadByteCount = Int(unsafe bytes.integer(at: Layout.payloadByteCount, as: UInt32.self))
    let contentByteCount = Layout.batchID + idByteCount + payloadByteCount
    guard byteCount <= bytes.count, byteCount % alignment == 0,
      contentByteCount <= byteCount, byteCount - contentByteCount < alignment
    else { throw .length }

    let record = unsafe UnsafeRawBufferPointer(rebasing: bytes[..<byteCount])
    let expected: UInt32 = unsafe record.integer(at: Layout.recordCRC32C)
    let found = unsafe checksum(ofRecord: record, seed: identity.seed)
    guard expected == found else { throw .checksum(expected: expected, found: found) }
    guard
      unsafe record[Layout.storeUUID..<(Layout.storeUUID + 16)].elementsEqual(
        identity.store.bytes),
      unsafe record[Layout.collectionUUID..<(Layout.collectionUUID + 16)].elementsEqual(
        identity.collection.bytes),
      unsafe record.integer(at: Layout.shardNumber, as: UInt32.self) == UInt32(identity.number)
    else { throw .identity }
    return try unsafe fields(of: record, batchIDByteCount: idByteCount, recordCRC32C: expected)
  }

  private static func fields(
    of record: UnsafeRawBufferPointer, batchIDByteCount: Int, recordCRC32C: UInt32
  ) throws(Problem) -> CommitRecord {
    guard let kind = Kind(rawValue: unsafe record.integer(at: Layout.kind)) else {
      throw .field("kind")
    }
    func count(_ offset: Int) -> Int? {
      let value: UInt64 = unsafe record.integer(at: offset)
      return value <= UInt64(Int32.max) << 16 ? Int(value) : nil
    }
    guard let sequence = count(Layout.sequence), let firstRow = count(Layout.firstRow),
      let rowCount = count(Layout.rowCount), let durable = count(Layout.durableRowCount)
    else { throw .field("a count is out of range") }
    let idBytes = unsafe record[Layout.batchID..<(Layout.batchID + batchIDByteCount)]
    guard let batchID = unsafe String(validating: idBytes, as: UTF8.self) else {
      throw .field("batchID")
    }
    let flags: UInt16 = unsafe record.integer(at: Layout.flags)
    let sha = unsafe [UInt8](record[Layout.bodySHA256..<(Layout.bodySHA256 + 32)])
    let payloadByteCount = Int(unsafe record.integer(at: Layout.payloadByteCount, as: UInt32.self))
    var origin: Origin?
    if kind == .compacted {
      let start = Layout.batchID + batchIDByteCount
      guard payloadByteCount >= Origin.Layout.ids,
        let originFirstRow = count(start + Origin.Layout.firstRow),
        let originRowCount = count(start + Origin.Layout.rowCount)
      else { throw .field("origin") }
      origin = Origin(
        shard: Int(unsafe record.integer(at: start + Origin.Layout.shard, as: UInt32.self)),
        rows: originFirstRow..<(originFirstRow + originRowCount),
        rowsCRC32C: unsafe record.integer(at: start + Origin.Layout.rowsCRC32C))
    }
    return CommitRecord(
      kind: kind, byteCount: record.count,
      previousCRC32C: unsafe record.integer(at: Layout.previousCRC32C),
      sequence: sequence, firstRow: firstRow, rowCount: rowCount, durableRowCount: durable,
      committedAt: unsafe record.integer(at: Layout.committedAt),
      contentDigest: Digest128(
        high: unsafe record.integer(at: Layout.contentDigest),
        low: unsafe record.integer(at: Layout.contentDigest + 8)),
      bodySHA256: flags & hasBodySHA256 == 0 ? nil : sha,
      rowsCRC32C: unsafe record.integer(at: Layout.rowsCRC32C),
      batchID: batchID,
      payloadByteCount: payloadByteCount, recordCRC32C: recordCRC32C, origin: origin)
  }
}

extension CommitRecord.Origin {
  fileprivate var encoded: [UInt8] {
    var out = ByteWriter(reserving: Layout.ids)
    out.append(UInt32(shard))
    out.append(rowsCRC32C)
    out.append(UInt64(rows.lowerBound))
    out.append(UInt64(rows.count))
    return out.bytes
  }
}
