// Which queries a user's database is asked: one statement that only reads. Answers: UserDatabase.swift.

internal import GRDBSQLite

extension UserDatabase {
  /// Compiles a query and makes sure that it is one, that it reads, and that it has the columns that are wanted.
  ///
  /// - Returns: to be finalized by the caller.
  func prepare(
    _ sql: String, columnCounts: ClosedRange<Int>
  ) throws(UserDatabaseError) -> OpaquePointer {
    let bytes = Array(sql.utf8CString)
    let (first, rest) = try unsafe compile(bytes, from: 0)
    guard let statement = unsafe first else { throw .query("the query is empty") }
    do throws(UserDatabaseError) {
      guard unsafe sqlite3_stmt_readonly(statement) != 0 else {
        throw .notReading("it changes the database")
      }
      // Comments and a last semicolon compile to nothing.
      let (second, _) = try unsafe compile(bytes, from: rest)
      if let second = unsafe second {
        unsafe _ = sqlite3_finalize(second)
        throw .severalStatements
      }
      let columnCount = unsafe Int(sqlite3_column_count(statement))
      guard columnCounts.contains(columnCount) else {
        throw .columnCount(found: columnCount, expected: columnCounts)
      }
    } catch {
      unsafe _ = sqlite3_finalize(statement)
      throw error
    }
    return unsafe statement
  }

  /// Compiles the first statement from an offset on.
  private func compile(
    _ bytes: [CChar], from offset: Int
  ) throws(UserDatabaseError) -> (statement: OpaquePointer?, end: Int) {
    var statement: OpaquePointer?
    var end = offset
    let code = unsafe bytes.withUnsafeBufferPointer { buffer -> Int32 in
      guard let start = buffer.baseAddress else { return SQLITE_MISUSE }
      var tail: UnsafePointer<CChar>?
      let code = unsafe sqlite3_prepare_v2(
        connection, start + offset, Int32(clamping: buffer.count - offset), &statement, &tail)
      if let tail = unsafe tail { end = unsafe tail - start }
      return code
    }
    guard code == SQLITE_OK else { throw failure(code) }
    return unsafe (statement, end)
  }
}

/// Allows what a query needs that only reads: tables and columns, functions, and queries that repeat themselves.
///
/// Everything else, such as PRAGMA, ATTACH or DELETE, is refused while the query is compiled.
/// Source: sqlite.org/c3ref/c_alter_table.html lists the actions.
let authorizeReading:
  @convention(c) (
    UnsafeMutableRawPointer?, Int32, UnsafePointer<CChar>?, UnsafePointer<CChar>?,
    UnsafePointer<CChar>?, UnsafePointer<CChar>?
  ) -> Int32 = { _, action, _, name, _, _ in
    switch action {
    case SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE: return SQLITE_OK
    case SQLITE_FUNCTION:
      guard let name = unsafe name else { return SQLITE_DENY }
      return unsafe String(cString: name).lowercased() == "load_extension" ? SQLITE_DENY : SQLITE_OK
    default: return SQLITE_DENY
    }
  }

/// Why a user's database does not answer.
package enum UserDatabaseError: Error, Equatable, Sendable {
  case cannotOpen(String, String)
  case notADatabase(String, String)
  case query(String)
  case notReading(String)
  case severalStatements
  case columnCount(found: Int, expected: ClosedRange<Int>)
  /// `number` counts answers from 1.
  case value(number: Int, column: Int, found: String)
  case changedMeanwhile(String)
}

extension UserDatabaseError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .cannotOpen(let path, let reason): "\(path) cannot be read: \(reason)"
    case .notADatabase(let path, let reason):
      "\(path) is not a SQLite database that can be read: \(reason)"
    case .query(let reason): "the query cannot be run: \(reason)"
    case .notReading(let reason):
      "the query is refused: only SELECT is allowed, the database is never changed (\(reason))"
    case .severalStatements: "the query is refused: it is more than one statement"
    case .columnCount(let found, 1...1): "the query has \(found) columns, expected one, the id"
    case .columnCount(let found, 2...2):
      "the query has \(found) columns, expected two, id and row index"
    case .columnCount(let found, _):
      "the query has \(found) columns, expected the id, and where there are two, the row index"
    case .value(let number, 1, let found):
      "answer \(number) of the query has \(found) as its id, expected text or an integer"
    case .value(let number, _, let found):
      "answer \(number) of the query has \(found) as its index, expected an integer from 0, or NULL"
    case .changedMeanwhile(let path):
      "\(path) was changed while it was read; run this again"
    }
  }
}
