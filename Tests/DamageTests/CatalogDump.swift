// All that a catalog says: every row of every table with its types, whatever the tables are. Read by SQLite itself,
// without Ingot's code.

import Foundation
import GRDBSQLite
import Synchronization

/// Two catalogs that say the same have equal dumps.
struct CatalogDump: Equatable {
  /// The rows of each table, sorted; each value as `quote` writes it, which shows its type.
  private var tables: [String: [String]] = [:]
  private let schema: [String]
  private let version: [String]

  /// - Throws: when the file cannot be read, or SQLite finds that its indexes differ from its tables.
  init(_ path: String) throws {
    if (try? FileManager.default.attributesOfItem(atPath: path + "-wal")[.size] as? Int) ?? 0 > 0 {
      // SQLite writes to a file that has a log, so a copy is read.
      let directory = try ReferenceStore()
      let copy = directory.root + "/catalog.sqlite"
      try FileManager.default.copyItem(atPath: path, toPath: copy)
      try FileManager.default.copyItem(atPath: path + "-wal", toPath: copy + "-wal")
      self = try withExtendedLifetime(directory) {
        try CatalogDump(SQLiteFile("file:\(copy)", flags: SQLITE_OPEN_READWRITE))
      }
    } else {
      try self.init(SQLiteFile("file:\(path)?immutable=1", flags: SQLITE_OPEN_READONLY))
    }
  }

  private init(_ file: SQLiteFile) throws {
    guard try file.rows("PRAGMA integrity_check(1)") == ["ok"] else {
      throw CocoaError(.fileReadCorruptFile)
    }
    version = try file.rows("PRAGMA user_version")
    schema = try file.rows(
      "SELECT quote(type) || quote(name) || quote(tbl_name) || quote(sql) FROM sqlite_schema"
    ).sorted()
    // When a shard was verified is no part of what the logs say.
    for (name, query) in try Self.queries(schema, file)
    where !["verified_shards", "scrubs"].contains(name) {
      tables[name] = try file.rows(query).sorted()
    }
  }

  /// How to read each table; the same for the same tables.
  private static func queries(_ schema: [String], _ file: SQLiteFile) throws -> [String: String] {
    if let known = knownQueries.withLock({ $0[schema] }) { return known }
    var queries: [String: String] = [:]
    for name in try file.rows("SELECT name FROM sqlite_schema WHERE type = 'table'") {
      let values = try file.rows("SELECT name FROM pragma_table_info('\(name)')")
        .map { "quote(\"\($0)\")" }.joined(separator: " || ',' || ")
      queries[name] = "SELECT \(values) FROM \"\(name)\""
    }
    let result = queries
    knownQueries.withLock { $0[schema] = result }
    return result
  }

  private static let knownQueries = Mutex<[[String]: [String: String]]>([:])

  func rowCount(ofTable name: String) -> Int? { tables[name]?.count }

  /// Whether every batch that this has is the same there: then this is an earlier state.
  func isBehind(_ other: CatalogDump) -> Bool {
    schema == other.schema && version == other.version
      && Set(tables["batches"] ?? []).isSubset(of: other.tables["batches"] ?? [])
  }
}

/// A database opened by the C library.
private final class SQLiteFile {
  private var handle: OpaquePointer?

  init(_ uri: String, flags: Int32) throws {
    guard
      sqlite3_open_v2(uri, &handle, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, nil) == SQLITE_OK
    else {
      throw CocoaError(.fileReadCorruptFile)
    }
  }

  deinit { sqlite3_close(handle) }

  /// The first column of all rows, as text.
  func rows(_ sql: String) throws -> [String] {
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK else {
      throw CocoaError(.fileReadCorruptFile)
    }
    var rows: [String] = []
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW:
        rows.append(sqlite3_column_text(statement, 0).map { String(cString: $0) } ?? "")
      case SQLITE_DONE: return rows
      default: throw CocoaError(.fileReadCorruptFile)
      }
    }
  }
}
