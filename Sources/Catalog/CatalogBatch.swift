// One batch as the catalog keeps it: one database row per batch, not per embedding.

internal import Foundation
internal import GRDB

/// A committed batch, its receipt, and the ids of its rows; or a deletion, and the ids that it deletes.
package struct CatalogBatch: Equatable, Sendable {
  /// The values are those of `CommitRecord.Kind`.
  package enum Kind: Int, Sendable {
    case batch = 1
    case deletion = 3
  }

  package var sequence: Int
  package var kind: Kind
  package var batchID: String
  package var shard: Int
  package var firstRow: Int
  package var rowCount: Int
  package var rowsCRC32C: UInt32
  /// 16 bytes.
  package var contentDigest: [UInt8]
  /// 32 bytes, when the client declared it.
  package var bodySHA256: [UInt8]?
  /// Nanoseconds since 1970.
  package var committedAt: Int64
  /// Where the batch was when it was committed, when compaction has moved it since.
  package var origin: Origin?
  /// As in commits.log; empty where a list leaves them out.
  package var ids: [UInt8]

  package struct Origin: Equatable, Sendable {
    package var shard: Int
    package var firstRow: Int
    package var rowCount: Int
    package var rowsCRC32C: UInt32

    package init(shard: Int, firstRow: Int, rowCount: Int, rowsCRC32C: UInt32) {
      self.shard = shard
      self.firstRow = firstRow
      self.rowCount = rowCount
      self.rowsCRC32C = rowsCRC32C
    }
  }

  package init(
    sequence: Int, kind: Kind, batchID: String, shard: Int, firstRow: Int, rowCount: Int,
    rowsCRC32C: UInt32,
    contentDigest: [UInt8], bodySHA256: [UInt8]?, committedAt: Int64, origin: Origin? = nil,
    ids: [UInt8]
  ) {
    self.sequence = sequence
    self.kind = kind
    self.batchID = batchID
    self.shard = shard
    self.firstRow = firstRow
    self.rowCount = rowCount
    self.rowsCRC32C = rowsCRC32C
    self.contentDigest = contentDigest
    self.bodySHA256 = bodySHA256
    self.committedAt = committedAt
    self.origin = origin
    self.ids = ids
  }
}

extension CatalogBatch: FetchableRecord {
  /// - Throws: when the file was damaged and holds what was never written to it.
  init(row: Row) throws {
    let kind = try row.count(of: "kind")
    guard let knownKind = Kind(rawValue: kind) else {
      throw CatalogError.outOfRange(column: "kind", value: kind)
    }
    self.init(
      sequence: try row.count(of: "sequence"), kind: knownKind, batchID: try row.text("batch_id"),
      shard: try row.count(of: "shard"), firstRow: try row.count(of: "first_row"),
      rowCount: try row.count(of: "row_count"), rowsCRC32C: try row.checksum("rows_crc32c"),
      contentDigest: try row.bytes("content_digest"),
      bodySHA256: try row.isNull("body_sha256") ? nil : row.bytes("body_sha256"),
      committedAt: try row.integer("committed_at"), origin: try Origin(row: row),
      ids: try row.bytes("ids"))
  }

  /// Adds the batch; one that is already there is left as it is, so that a log may be read twice.
  func insert(_ database: Database, collection: String) throws {
    let statement = try database.cachedStatement(
      sql: """
        INSERT OR IGNORE INTO batches (collection, sequence, kind, batch_id, shard, first_row, row_count,
          rows_crc32c, content_digest, body_sha256, committed_at, origin_shard, origin_first_row,
          origin_row_count, origin_rows_crc32c, ids)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """)
    try statement.execute(arguments: [
      collection, sequence, kind.rawValue, batchID, shard, firstRow, rowCount, Int64(rowsCRC32C),
      Data(contentDigest), bodySHA256.map { Data($0) }, committedAt,
      origin?.shard, origin?.firstRow, origin?.rowCount, origin.map { Int64($0.rowsCRC32C) },
      Data(ids),
    ])
  }
}

extension CatalogBatch.Origin {
  /// - Returns: nil for a batch that was never moved.
  fileprivate init?(row: Row) throws {
    let columns = ["origin_shard", "origin_first_row", "origin_row_count", "origin_rows_crc32c"]
    if try columns.allSatisfy({ try row.isNull($0) }) { return nil }
    self.init(
      shard: try row.count(of: "origin_shard"), firstRow: try row.count(of: "origin_first_row"),
      rowCount: try row.count(of: "origin_row_count"),
      rowsCRC32C: try row.checksum("origin_rows_crc32c"))
  }
}

/// Values as they were stored. SQLite gives a value of any type for another when it is asked to; here each has
/// the type that was written, so that a damaged one is not taken for it.
extension Row {
  /// A number that counts something, as all that the catalog stores but checksums and times.
  func count(of column: String) throws -> Int {
    let value = Int(try integer(column))
    guard (0...Self.countMax).contains(value) else {
      throw CatalogError.outOfRange(column: column, value: value)
    }
    return value
  }

  /// Keeps sums of counts within an Int.
  private static var countMax: Int { 1 << 48 }

  func checksum(_ column: String) throws -> UInt32 {
    let value = try integer(column)
    guard let checksum = UInt32(exactly: value) else {
      throw CatalogError.outOfRange(column: column, value: Int(value))
    }
    return checksum
  }

  func integer(_ column: String) throws -> Int64 {
    guard case .int64(let value) = try storage(column) else {
      throw CatalogError.type(column: column)
    }
    return value
  }

  func text(_ column: String) throws -> String {
    guard case .string(let value) = try storage(column) else {
      throw CatalogError.type(column: column)
    }
    return value
  }

  func bytes(_ column: String) throws -> [UInt8] {
    guard case .blob(let value) = try storage(column) else {
      throw CatalogError.type(column: column)
    }
    return [UInt8](value)
  }

  func isNull(_ column: String) throws -> Bool {
    if case .null = try storage(column) { true } else { false }
  }

  private func storage(_ column: String) throws -> DatabaseValue.Storage {
    try decode(DatabaseValue.self, forColumn: column).storage
  }
}
