// Somebody else's SQLite file: opened read-only, asked one query, never changed. Without GRDB, whose own
// authorizer would take the place of this one. How the file is opened: UserDatabase+Open.swift.

internal import Foundation
internal import GRDBSQLite

/// A database whose owner may go on working with it.
@safe
package final class UserDatabase {
  let path: String
  let connection: OpaquePointer
  /// Holds a copy when the original cannot be read without writing beside it; removed with this.
  private let copyDirectory: String?
  /// How the file looked when it was opened without locks; it has to look the same at the end.
  private let unlocked: FileState?

  /// Opens the file for reading.
  package init(path: String) throws(UserDatabaseError) {
    // A symbolic link is followed: the files that SQLite knows of are beside its target.
    let path = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    let access = try FileState.access(to: path)
    self.path = path
    copyDirectory = access.copyDirectory
    unlocked = access.isUnlocked ? try FileState(path) : nil
    do throws(UserDatabaseError) {
      unsafe connection = try Self.connect(access.uri, path: path)
    } catch {
      FileState.remove(access.copyDirectory)
      throw error
    }
    unsafe _ = sqlite3_set_authorizer(connection, authorizeReading, nil)
    try readSchema()
  }

  /// Opening reads nothing of a file, and neither does a query that names no table.
  private func readSchema() throws(UserDatabaseError) {
    let code = unsafe sqlite3_exec(connection, "SELECT 1 FROM sqlite_master LIMIT 1", nil, nil, nil)
    guard code == SQLITE_OK else { throw failure(code) }
  }

  deinit {
    unsafe _ = sqlite3_close_v2(connection)
    FileState.remove(copyDirectory)
  }

  private static func connect(
    _ uri: String, path: String
  ) throws(UserDatabaseError) -> OpaquePointer {
    var opened: OpaquePointer?
    let flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX
    let code = unsafe sqlite3_open_v2(uri, &opened, flags, nil)
    guard let connection = unsafe opened else { throw .cannotOpen(path, "no memory") }
    guard code == SQLITE_OK else {
      defer { unsafe _ = sqlite3_close_v2(connection) }
      throw unsafe .cannotOpen(path, message(connection))
    }
    unsafe _ = sqlite3_busy_timeout(connection, busyMilliseconds)
    return unsafe connection
  }

  /// How long a writer may hold the file before the query gives up.
  private static let busyMilliseconds: Int32 = 10_000

  /// One answer of a query, lent.
  @safe
  package struct Entry {
    /// The first column as bytes: text, or an integer in decimal.
    package let id: UnsafeRawBufferPointer
    /// The second column; nil for NULL, and when there is none.
    package let index: Int?
    /// Whether the query has a second column.
    package let hasIndex: Bool
  }

  /// Throws what ``forEach(_:columnCounts:_:)`` would throw of the query itself.
  package func check(
    _ sql: String, columnCounts: ClosedRange<Int>
  ) throws(UserDatabaseError) {
    let statement = try unsafe prepare(sql, columnCounts: columnCounts)
    unsafe _ = sqlite3_finalize(statement)
  }

  /// Goes through the answers of a query, which are never held together.
  ///
  /// - Parameters:
  ///   - sql: One statement that only reads; its first column is the id, the second the index of its row.
  ///   - columnCounts: How many columns it may have: 1 or 2.
  package func forEach(
    _ sql: String, columnCounts: ClosedRange<Int>, _ body: (Entry) throws -> Void
  ) throws {
    let statement = try unsafe prepare(sql, columnCounts: columnCounts)
    defer { unsafe _ = sqlite3_finalize(statement) }
    let columnCount = unsafe sqlite3_column_count(statement)
    var number = 0
    while true {
      switch unsafe sqlite3_step(statement) {
      case SQLITE_ROW:
        number += 1
        try body(try unsafe entry(statement, number: number, hasIndex: columnCount == 2))
      case SQLITE_DONE:
        if let unlocked, try FileState(path) != unlocked {
          throw UserDatabaseError.changedMeanwhile(path)
        }
        return
      case let code: throw failure(code)
      }
    }
  }

  private func entry(
    _ statement: OpaquePointer, number: Int, hasIndex: Bool
  ) throws(UserDatabaseError) -> Entry {
    let type = unsafe sqlite3_column_type(statement, 0)
    guard type == SQLITE_TEXT || type == SQLITE_INTEGER else {
      throw .value(number: number, column: 1, found: Self.name(ofType: type))
    }
    let text = unsafe sqlite3_column_text(statement, 0)
    let byteCount = unsafe Int(sqlite3_column_bytes(statement, 0))
    let id = unsafe UnsafeRawBufferPointer(start: text, count: text == nil ? 0 : byteCount)
    guard hasIndex else { return unsafe Entry(id: id, index: nil, hasIndex: false) }
    switch unsafe sqlite3_column_type(statement, 1) {
    case SQLITE_NULL: return unsafe Entry(id: id, index: nil, hasIndex: true)
    case SQLITE_INTEGER:
      let index = unsafe sqlite3_column_int64(statement, 1)
      guard index >= 0 else {
        throw .value(number: number, column: 2, found: "\(index)")
      }
      return unsafe Entry(id: id, index: Int(index), hasIndex: true)
    case let other: throw .value(number: number, column: 2, found: Self.name(ofType: other))
    }
  }

  private static func name(ofType type: Int32) -> String {
    switch type {
    case SQLITE_NULL: "NULL"
    case SQLITE_BLOB: "a blob"
    case SQLITE_FLOAT: "a real number"
    case SQLITE_INTEGER: "an integer"
    default: "text"
    }
  }

  func failure(_ code: Int32) -> UserDatabaseError {
    let text = unsafe Self.message(connection)
    // What the authorizer refuses within a statement comes as a plain error with this text.
    if text.hasPrefix("not authorized") { return .notReading(text) }
    switch code & 0xFF {
    case SQLITE_NOTADB, SQLITE_CORRUPT: return .notADatabase(path, text)
    case SQLITE_CANTOPEN, SQLITE_IOERR, SQLITE_BUSY, SQLITE_READONLY:
      return .cannotOpen(path, text)
    default: return .query(text)
    }
  }

  private static func message(_ connection: OpaquePointer) -> String {
    unsafe String(cString: sqlite3_errmsg(connection))
  }
}
