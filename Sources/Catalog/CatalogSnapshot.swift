// The catalog as a file that nobody writes to: for verification, which changes nothing in a store.
// The catalog in use: Catalog.swift.

internal import Foundation
internal import GRDB

/// Reads a catalog of a store that is not in use.
package final class CatalogSnapshot: Sendable {
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

  private func checkVersion() throws {
    let version = try database.read { try Int.fetchOne($0, sql: "PRAGMA user_version") ?? 0 }
    guard version == Catalog.schemaVersion else {
      throw CatalogError.version(found: version, expected: Catalog.schemaVersion)
    }
  }

  /// What SQLite finds wrong with the file's structure; nil when nothing is.
  package func problem() throws -> String? {
    let found = try database.read { try String.fetchOne($0, sql: "PRAGMA quick_check(1)") }
    return found == "ok" ? nil : found ?? "no answer"
  }

  /// The UUIDs of all collections.
  package func collections() throws -> [String] {
    try database.read { database in
      try String.fetchAll(
        database, sql: "SELECT collection FROM shards GROUP BY collection ORDER BY collection")
    }
  }

  /// How far each shard's log has been read, by shard number.
  package func positions(collection: String) throws -> [Int: Catalog.Position] {
    try database.read { try Catalog.positions($0, collection: collection) }
  }

  /// The batches and deletions of a shard with their ids, in the order of their commit.
  package func batches(collection: String, shard: Int) throws -> [CatalogBatch] {
    try database.read { database in
      try CatalogBatch.fetchAll(
        database,
        sql: "SELECT * FROM batches WHERE collection = ? AND shard = ? ORDER BY sequence",
        arguments: [collection, shard])
    }
  }

  /// The sequence of a collection's last batch; nil when there is none.
  package func lastSequence(collection: String) throws -> Int? {
    try database.read { database in
      try Int.fetchOne(
        database, sql: "SELECT max(sequence) FROM batches WHERE collection = ?",
        arguments: [collection])
    }
  }

  /// What stands for the content of a batch; nil when there is no batch of that sequence.
  package func contentDigest(collection: String, sequence: Int) throws -> [UInt8]? {
    try database.read { database in
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
    try database.read { database in
      try CatalogBatch.fetchAll(
        database,
        sql:
          "SELECT * FROM batches WHERE collection = ? AND sequence > ? ORDER BY sequence LIMIT ?",
        arguments: [collection, sequence, limit])
    }
  }
}
