// The answer that a batch id gets, now and for ever.

internal import Catalog
internal import ShardStore
package import SystemIO

/// What was stored, where, and with which checksums.
package struct Receipt: Equatable, Sendable {
  package let collection: String
  package let batchID: String
  /// Number of the batch in its collection, from 1; the newest commit of an id has the largest.
  package let sequence: Int
  package let shard: Int
  /// Rows within the shard, from 0; as they were committed, wherever compaction has moved them since.
  package let rows: Range<Int>
  package let contentDigest: Digest128
  package let rowsCRC32C: UInt32
  /// SHA-256 of the request body, when the client declared it; 32 bytes.
  package let bodySHA256: [UInt8]?
  /// Nanoseconds since 1970.
  package let committedAt: Int64

  init(_ record: CommitRecord, shard: Int, collection: String) {
    self.collection = collection
    self.shard = record.origin?.shard ?? shard
    batchID = record.batchID
    sequence = record.sequence
    rows = record.origin?.rows ?? record.rows
    contentDigest = record.contentDigest
    rowsCRC32C = record.origin?.rowsCRC32C ?? record.rowsCRC32C
    bodySHA256 = record.bodySHA256
    committedAt = record.committedAt
  }

  init(_ batch: CatalogBatch, collection: String) {
    self.collection = collection
    let origin = batch.origin
    shard = origin?.shard ?? batch.shard
    batchID = batch.batchID
    sequence = batch.sequence
    let firstRow = origin?.firstRow ?? batch.firstRow
    rows = firstRow..<(firstRow + (origin?.rowCount ?? batch.rowCount))
    contentDigest = Digest128(bytes: batch.contentDigest)
    rowsCRC32C = origin?.rowsCRC32C ?? batch.rowsCRC32C
    bodySHA256 = batch.bodySHA256
    committedAt = batch.committedAt
  }
}

extension CatalogBatch {
  init(_ record: CommitRecord, shard: Int, ids: [UInt8]) {
    self.init(
      sequence: record.sequence, kind: record.kind == .deletion ? .deletion : .batch,
      batchID: record.batchID, shard: shard,
      firstRow: record.firstRow, rowCount: record.rowCount, rowsCRC32C: record.rowsCRC32C,
      contentDigest: record.contentDigest.bytes, bodySHA256: record.bodySHA256,
      committedAt: record.committedAt,
      origin: record.origin.map {
        Origin(
          shard: $0.shard, firstRow: $0.rows.lowerBound, rowCount: $0.rows.count,
          rowsCRC32C: $0.rowsCRC32C)
      }, ids: ids)
  }
}

extension Digest128 {
  /// 16 bytes, the high half first, each half with its most significant byte first.
  package var bytes: [UInt8] {
    [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) } }
  }

  /// - Parameter bytes: 16 of them; anything else is zero, which matches no content.
  init(bytes: [UInt8]) {
    let halves = bytes.count == 16 ? bytes : [UInt8](repeating: 0, count: 16)
    self.init(
      high: halves[..<8].reduce(0) { $0 << 8 | UInt64($1) },
      low: halves[8...].reduce(0) { $0 << 8 | UInt64($1) })
  }
}

extension CatalogBatch {
  /// The ids; nil when they are not as they were written.
  var idList: IDList? {
    kind == .deletion ? IDList(checkedBytes: ids) : IDList(checkedBytes: ids, count: rowCount)
  }
}
