// What should exist: the only SQL of the project. Derived from the logs; filled by IngestService/CatalogFollower.swift.
// Schema: Catalog+Schema.swift. Rows: CatalogBatch.swift.

internal import GRDB

/// The SQLite file that knows every batch with its ids and its receipt.
///
/// One connection writes, readers do not wait for it (WAL).
package final class Catalog: CatalogReader {
  let database: DatabasePool
  package let path: String

  /// Opens or creates a catalog.
  ///
  /// - Throws: when the file is no catalog that this version can use; the caller keeps it aside and makes a new one.
  package init(path: String) throws {
    self.path = path
    var configuration = Configuration()
    configuration.maximumReaderCount = 4
    configuration.prepareDatabase { database in
      // In WAL mode NORMAL cannot corrupt; a power cut may lose the last transactions, which are then read
      // from the logs again. Source: sqlite.org/pragma.html#pragma_synchronous.
      try database.execute(sql: "PRAGMA synchronous = NORMAL")
    }
    try Self.checkByteCount(ofFile: path)
    database = try DatabasePool(path: path, configuration: configuration)
    try database.write { try Self.prepareSchema($0) }
  }

  /// How far a shard's log has been read.
  package struct Position: Equatable, Sendable {
    package var logOffset: Int
    package var rowCount: Int
    /// Of the shard's first record: tells a shard from one that replaced it.
    package var firstRecordCRC32C: UInt32
    /// The shards that a compacted one replaces, itself among them.
    package var replaced: [Int] = []

    package init(logOffset: Int, rowCount: Int, firstRecordCRC32C: UInt32) {
      self.logOffset = logOffset
      self.rowCount = rowCount
      self.firstRecordCRC32C = firstRecordCRC32C
    }
  }

  /// What was read from one shard's log since its last position.
  package struct Page: Sendable {
    package var collection: String
    package var shard: Int
    package var batches: [CatalogBatch]
    package var position: Position

    package init(collection: String, shard: Int, batches: [CatalogBatch], position: Position) {
      self.collection = collection
      self.shard = shard
      self.batches = batches
      self.position = position
    }
  }

  /// Adds batches and moves the positions on, in one transaction.
  package func apply(_ pages: [Page]) throws {
    try database.write { database in for page in pages { try Self.add(page, to: database) } }
  }

  private static func add(_ page: Page, to database: Database) throws {
    for batch in page.batches { try batch.insert(database, collection: page.collection) }
    try database.execute(
      sql: """
        INSERT OR REPLACE INTO shards
          (collection, shard, log_offset, row_count, first_record_crc32c, replaced)
        VALUES (?, ?, ?, ?, ?, ?)
        """,
      arguments: [
        page.collection, page.shard, page.position.logOffset, page.position.rowCount,
        Int64(page.position.firstRecordCRC32C),
        page.position.replaced.map(String.init).joined(separator: ","),
      ])
  }

  package func positions(collection: String) throws -> [Int: Position] {
    try database.read { try $0.catalogPositions(collection: collection) }
  }

  package func batch(collection: String, id: String) throws -> CatalogBatch? {
    try database.read { database in
      let statement = try database.cachedStatement(
        sql: "SELECT * FROM batches WHERE collection = ? AND batch_id = ?")
      return try CatalogBatch.fetchOne(statement, arguments: [collection, id])
    }
  }

  /// Batches in the order of their commit, without their ids and without deletions.
  ///
  /// - Parameters:
  ///   - prefix: of the batch id; empty for all.
  ///   - after: the sequence behind which, in the direction of the order, the list goes on.
  package func batches(
    collection: String, prefix: String, descending: Bool, after: Int?, limit: Int
  ) throws -> [CatalogBatch] {
    var sql = """
      SELECT sequence, kind, batch_id, shard, first_row, row_count, rows_crc32c, content_digest,
        body_sha256, committed_at, origin_shard, origin_first_row, origin_row_count,
        origin_rows_crc32c, x'' AS ids FROM batches WHERE collection = ? AND kind = 1
      """
    var arguments: StatementArguments = [collection]
    if !prefix.isEmpty {
      // A range and not LIKE, so that the index is used. Ids are ASCII: U+007F is behind all of them.
      sql += " AND batch_id >= ? AND batch_id < ?"
      arguments += [prefix, prefix + "\u{7F}"]
    }
    if let after {
      sql += descending ? " AND sequence < ?" : " AND sequence > ?"
      arguments += [after]
    }
    sql += descending ? " ORDER BY sequence DESC LIMIT ?" : " ORDER BY sequence LIMIT ?"
    arguments += [limit]
    let (query, values) = (sql, arguments)
    return try database.read { try CatalogBatch.fetchAll($0, sql: query, arguments: values) }
  }

  package func batches(collection: String, shard: Int) throws -> [CatalogBatch] {
    try database.read { try $0.catalogBatches(collection: collection, shard: shard) }
  }

  package func collections() throws -> [String] {
    try database.read { try $0.catalogCollections() }
  }

  package func rowCount(collection: String, shard: Int) throws -> Int? {
    try database.read { try $0.catalogRowCount(collection: collection, shard: shard) }
  }

  /// Puts a shard in the place of those that it replaces, in one transaction.
  package func replace(_ shards: [Int], by page: Page) throws {
    try database.write { database in
      try Self.forget(shards, collection: page.collection, in: database)
      try Self.add(page, to: database)
    }
  }

  /// Forgets shards, so that their logs are read again from the start.
  package func forget(collection: String, shards: [Int]) throws {
    try database.write { try Self.forget(shards, collection: collection, in: $0) }
  }

  private static func forget(
    _ shards: [Int], collection: String, in database: Database
  ) throws {
    for shard in shards {
      for table in ["batches", "shards", "verified_shards"] {
        try database.execute(
          sql: "DELETE FROM \(table) WHERE collection = ? AND shard = ?",
          arguments: [collection, shard])
      }
    }
  }

  package func lastSequence(collection: String) throws -> Int? {
    try database.read { try $0.catalogLastSequence(collection: collection) }
  }

  /// What is wrong with the file, of which every page is read; nil when nothing is.
  package func problem() -> String? {
    do { return try database.read { try Self.problem($0) } } catch { return "\(error)" }
  }

  /// Not `quick_check`, which does not compare indexes with their tables: a batch id that an index has lost would be
  /// stored again. Source: sqlite.org/pragma.html#pragma_integrity_check.
  static func problem(_ database: Database) throws -> String? {
    let found = try String.fetchOne(database, sql: "PRAGMA integrity_check(1)")
    return found == "ok" ? nil : found ?? "no answer"
  }

  /// Has the next start make the catalog again.
  package func giveUp() throws {
    try database.write { try $0.execute(sql: "PRAGMA user_version = \(Self.givenUpVersion)") }
  }

  private static let givenUpVersion = -1

  package func close() throws { try database.close() }

  /// Moves what is in the write-ahead log into the database file, as before a clean stop.
  package func checkpoint() throws {
    try database.writeWithoutTransaction { try _ = $0.checkpoint(.truncate) }
  }
}
