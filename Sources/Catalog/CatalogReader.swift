// What start-up, repair and backup ask of a catalog, in use (Catalog.swift) or only read (CatalogSnapshot.swift).

internal import GRDB

/// A catalog that can be asked what was committed.
package protocol CatalogReader: Sendable {
  /// The UUIDs of all collections.
  func collections() throws -> [String]
  /// How far each shard's log has been read, by shard number.
  func positions(collection: String) throws -> [Int: Catalog.Position]
  /// Behind the last row of a shard, by its last batch; nil when there is no batch of it.
  func rowCount(collection: String, shard: Int) throws -> Int?
  /// The sequence of a collection's last batch; nil when there is none.
  func lastSequence(collection: String) throws -> Int?
  /// The batches and deletions of a shard with their ids, in the order of their commit.
  func batches(collection: String, shard: Int) throws -> [CatalogBatch]
}

extension Database {
  func catalogCollections() throws -> [String] {
    let statement = try cachedStatement(
      sql: "SELECT collection FROM shards UNION SELECT collection FROM batches ORDER BY collection")
    return try String.fetchAll(statement)
  }

  func catalogPositions(collection: String) throws -> [Int: Catalog.Position] {
    let statement = try cachedStatement(sql: "SELECT * FROM shards WHERE collection = ?")
    let rows = try Row.fetchAll(statement, arguments: [collection])
    return Dictionary(
      try rows.map { (try $0.count(of: "shard"), try Catalog.Position(row: $0)) },
      uniquingKeysWith: { first, _ in first })
  }

  /// From the end, by the index: a shard that is asked for at start is mostly the last one.
  func catalogRowCount(collection: String, shard: Int) throws -> Int? {
    let statement = try cachedStatement(
      sql: """
        SELECT first_row + row_count AS row_count FROM batches INDEXED BY batches_by_sequence
        WHERE collection = ? AND shard = ? ORDER BY sequence DESC LIMIT 1
        """)
    return try Row.fetchOne(statement, arguments: [collection, shard])?.count(of: "row_count")
  }

  func catalogLastSequence(collection: String) throws -> Int? {
    let statement = try cachedStatement(
      sql: "SELECT MAX(sequence) AS sequence FROM batches WHERE collection = ?")
    guard let row = try Row.fetchOne(statement, arguments: [collection]),
      !row.hasNull(atIndex: 0)
    else { return nil }
    return try row.count(of: "sequence")
  }

  func catalogBatches(collection: String, shard: Int) throws -> [CatalogBatch] {
    try CatalogBatch.fetchAll(
      self, sql: "SELECT * FROM batches WHERE collection = ? AND shard = ? ORDER BY sequence",
      arguments: [collection, shard])
  }
}

extension Catalog.Position {
  fileprivate init(row: Row) throws {
    self.init(
      logOffset: try row.count(of: "log_offset"), rowCount: try row.count(of: "row_count"),
      firstRecordCRC32C: try row.checksum("first_record_crc32c"))
    let numbers = try row.text("replaced")
    replaced = try numbers.split(separator: ",").map { text in
      guard let number = Int(text) else {
        throw CatalogError.outOfRange(column: "replaced", value: -1)
      }
      return number
    }
  }
}
