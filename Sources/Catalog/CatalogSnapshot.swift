// The catalog as a file that nobody writes to: for verification, which changes nothing in a store.
// The catalog in use: Catalog.swift.

internal import Foundation
internal import GRDB

/// Reads a catalog of a store that is not in use.
package final class CatalogSnapshot: CatalogReader {
  private let database: DatabaseQueue
  /// Holds a copy when the catalog was not closed; removed with this.
  private let copyDirectory: URL?

  /// Opens the file as it is. After a crash, a part of the catalog is in the write-ahead log, which SQLite
  /// reads only where it may write: then both files are copied to the temporary directory.
  ///
  /// - Throws: when the file is no catalog that this version can use.
  package init(path: String) throws {
    var configuration = Configuration()
    configuration.readonly = true
    let log = path + "-wal"
    let attributes = try? FileManager.default.attributesOfItem(atPath: log)
    guard let byteCount = attributes?[.size] as? Int, byteCount > 0 else {
      copyDirectory = nil
      database = try DatabaseQueue(
        path: Self.immutableName(of: path), configuration: configuration)
      try checkVersion()
      return
    }
    let directory = FileManager.default.temporaryDirectory
      .appendingPathComponent("ingot-catalog-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
    copyDirectory = directory
    let copy = directory.appendingPathComponent("catalog.sqlite").path
    do {
      try FileManager.default.copyItem(atPath: path, toPath: copy)
      try FileManager.default.copyItem(atPath: log, toPath: copy + "-wal")
      database = try DatabaseQueue(path: copy)
      try checkVersion()
    } catch {
      try? FileManager.default.removeItem(at: directory)
      throw error
    }
  }

  deinit {
    try? database.close()
    if let copyDirectory { try? FileManager.default.removeItem(at: copyDirectory) }
  }

  /// What to open where nobody writes: "immutable" keeps SQLite from making files beside this one.
  /// Source: sqlite.org/uri.html.
  static func immutableName(of path: String) -> String {
    let allowed = CharacterSet(charactersIn: "/-_.~").union(.alphanumerics)
    let encoded = path.addingPercentEncoding(withAllowedCharacters: allowed) ?? path
    return "file:\(encoded)?immutable=1"
  }

  /// Nobody writes to the file, so that there is nothing that a transaction would keep out.
  private func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
    try database.unsafeRead(body)
  }

  private func checkVersion() throws {
    let version = try read { try Int.fetchOne($0, sql: "PRAGMA user_version") ?? 0 }
    if version == 0, try schema().isEmpty { throw CatalogError.empty }
    guard version == Catalog.schemaVersion else {
      throw CatalogError.version(found: version, expected: Catalog.schemaVersion)
    }
  }

  /// What SQLite finds wrong with tables and indexes, and whether they are those of a catalog; nil when nothing is.
  package func problem() throws -> String? {
    if let found = try read({ try Catalog.problem($0) }) { return found }
    let hasTables = try schema() == Self.expectedSchema.get()
    return hasTables ? nil : "its tables are not those of a catalog"
  }

  private static let expectedSchema = Result {
    try DatabaseQueue().write { database in
      try Catalog.prepareSchema(database)
      return try schema(database)
    }
  }

  /// The statements that made the tables and indexes.
  private func schema() throws -> Set<String> { try read(Self.schema) }

  /// Quoted, which shows the type of a value: a text that became a blob reads the same otherwise.
  private static func schema(_ database: Database) throws -> Set<String> {
    try Set(
      String.fetchAll(
        database,
        sql: "SELECT quote(type) || quote(name) || quote(tbl_name) || quote(sql) FROM sqlite_schema"
      ))
  }

  package func collections() throws -> [String] { try read { try $0.catalogCollections() } }

  package func rowCount(collection: String, shard: Int) throws -> Int? {
    try read { try $0.catalogRowCount(collection: collection, shard: shard) }
  }

  /// Behind the last row of each shard, by its batches.
  package func batchRowCounts(collection: String) throws -> [Int: Int] {
    try read { database in
      let statement = try database.cachedStatement(
        sql: """
          SELECT shard, MAX(first_row + row_count) AS row_count FROM batches
          WHERE collection = ? GROUP BY shard
          """)
      let rows = try Row.fetchAll(statement, arguments: [collection])
      return Dictionary(
        try rows.map { (try $0.count(of: "shard"), try $0.count(of: "row_count")) },
        uniquingKeysWith: { first, _ in first })
    }
  }

  package func positions(collection: String) throws -> [Int: Catalog.Position] {
    try read { try $0.catalogPositions(collection: collection) }
  }

  package func batches(collection: String, shard: Int) throws -> [CatalogBatch] {
    try read { try $0.catalogBatches(collection: collection, shard: shard) }
  }

  package func lastSequence(collection: String) throws -> Int? {
    try read { try $0.catalogLastSequence(collection: collection) }
  }

  /// What stands for the content of a batch; nil when there is no batch of that sequence.
  package func contentDigest(collection: String, sequence: Int) throws -> [UInt8]? {
    try read { database in
      try Data.fetchOne(
        database,
        sql: "SELECT content_digest FROM batches WHERE collection = ? AND sequence = ?",
        arguments: [collection, sequence]
      ).map { [UInt8]($0) }
    }
  }

  /// Batches with their ids, in the order of their commit, from behind a sequence.
  package func batches(
    collection: String, after sequence: Int, limit: Int
  ) throws -> [CatalogBatch] {
    try read { database in
      let statement = try database.cachedStatement(
        sql: "SELECT * FROM batches WHERE collection = ? AND sequence > ? ORDER BY sequence LIMIT ?"
      )
      return try CatalogBatch.fetchAll(statement, arguments: [collection, sequence, limit])
    }
  }
}
