// The tables of catalog.sqlite, version 2.

internal import GRDB

/// A catalog that this version of the program cannot use.
package enum CatalogError: Error, Sendable {
  case version(found: Int, expected: Int)
  /// Its structure is not as it was written.
  case damaged(String)
  /// No tables: nothing was ever written to it, or it was emptied.
  case empty
  case outOfRange(column: String, value: Int)
  /// A value has another type than the one that was written.
  case type(column: String)
}

extension Catalog {
  static let schemaVersion = 2

  /// Creates the tables in a new file, and refuses a file of another version.
  static func prepareSchema(_ database: Database) throws {
    let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
    guard version == 0 || version == schemaVersion else {
      throw CatalogError.version(found: version, expected: schemaVersion)
    }
    try database.execute(
      sql: """
        CREATE TABLE IF NOT EXISTS shards (
          collection TEXT NOT NULL,
          shard INTEGER NOT NULL,
          log_offset INTEGER NOT NULL,
          row_count INTEGER NOT NULL,
          first_record_crc32c INTEGER NOT NULL,
          replaced TEXT NOT NULL,
          PRIMARY KEY (collection, shard)
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS verified_shards (
          collection TEXT NOT NULL,
          shard INTEGER NOT NULL,
          verified_at INTEGER NOT NULL,
          PRIMARY KEY (collection, shard)
        ) WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS scrubs (
          number INTEGER PRIMARY KEY,
          collection TEXT,
          shard INTEGER,
          rate INTEGER,
          state TEXT NOT NULL,
          started_at INTEGER NOT NULL,
          ended_at INTEGER
        );
        CREATE TABLE IF NOT EXISTS batches (
          collection TEXT NOT NULL,
          sequence INTEGER NOT NULL,
          kind INTEGER NOT NULL,
          batch_id TEXT NOT NULL,
          shard INTEGER NOT NULL,
          first_row INTEGER NOT NULL,
          row_count INTEGER NOT NULL,
          rows_crc32c INTEGER NOT NULL,
          content_digest BLOB NOT NULL,
          body_sha256 BLOB,
          committed_at INTEGER NOT NULL,
          origin_shard INTEGER,
          origin_first_row INTEGER,
          origin_row_count INTEGER,
          origin_rows_crc32c INTEGER,
          ids BLOB NOT NULL
        );
        CREATE UNIQUE INDEX IF NOT EXISTS batches_by_id ON batches (collection, batch_id);
        CREATE UNIQUE INDEX IF NOT EXISTS batches_by_sequence ON batches (collection, sequence);
        PRAGMA user_version = \(schemaVersion);
        """)
  }
}
