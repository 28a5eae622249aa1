// Somebody else's database: read in every state that it can be in, and left as it was found.

import Catalog
import Foundation
import GRDB
import Testing

/// A folder with one database, in which nothing else may appear.
private final class UserFolder {
  let folder: String
  var path: String { folder + "/mine.db" }

  init() throws {
    folder = NSTemporaryDirectory() + "ingot-user-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  func write(journal: String) throws -> DatabaseQueue {
    let queue = try DatabaseQueue(path: path)
    try queue.writeWithoutTransaction { database in
      _ = try String.fetchOne(database, sql: "PRAGMA journal_mode=\(journal)")
      try database.execute(sql: "CREATE TABLE t (id, n); INSERT INTO t VALUES ('a', 0), (7, 1)")
    }
    return queue
  }

  /// Names and contents.
  var state: [String: Data] {
    get throws {
      let names = try FileManager.default.contentsOfDirectory(atPath: folder)
      return Dictionary(
        uniqueKeysWithValues: names.map {
          ($0, FileManager.default.contents(atPath: folder + "/" + $0) ?? Data())
        })
    }
  }

  func ids(_ sql: String = "SELECT id FROM t", columnCounts: ClosedRange<Int> = 1...1) throws
    -> [String]
  {
    var ids: [String] = []
    try UserDatabase(path: path).forEach(sql, columnCounts: columnCounts) { entry in
      ids.append(String(decoding: entry.id, as: UTF8.self) + (entry.index.map { ":\($0)" } ?? ""))
    }
    return ids
  }
}

@Suite struct UserDatabaseTests {
  @Test(arguments: ["delete", "wal"])
  func readsAClosedDatabaseAndLeavesNothingBesideIt(journal: String) throws {
    let at = try UserFolder()
    try at.write(journal: journal).close()
    let before = try at.state

    #expect(try at.ids() == ["a", "7"])
    #expect(try at.ids("SELECT id, n FROM t", columnCounts: 1...2) == ["a:0", "7:1"])
    #expect(try at.state == before && before.count == 1)
  }

  @Test(arguments: ["delete", "wal"])
  func readsADatabaseThatSomebodyHasOpen(journal: String) throws {
    let at = try UserFolder()
    let writer = try at.write(journal: journal)
    #expect(try at.ids() == ["a", "7"])
    try writer.write { try $0.execute(sql: "INSERT INTO t VALUES ('b', 2)") }
    #expect(try at.ids() == ["a", "7", "b"])
    try writer.close()
  }

  @Test func readsWhatAProcessThatDiedLeftInItsLog() throws {
    let at = try UserFolder()
    let other = try UserFolder()
    let writer = try at.write(journal: "wal")
    for suffix in ["", "-wal"] {
      try FileManager.default.copyItem(atPath: at.path + suffix, toPath: other.path + suffix)
    }
    try writer.close()
    let before = try other.state

    #expect(try other.ids() == ["a", "7"])
    #expect(try other.state == before)
  }

  @Test func followsALink() throws {
    let at = try UserFolder()
    try at.write(journal: "wal").close()
    let link = try UserFolder()
    try FileManager.default.createSymbolicLink(
      atPath: link.path, withDestinationPath: at.path)
    #expect(try link.ids() == ["a", "7"])
  }

  private func refusal(_ sql: String, columnCounts: ClosedRange<Int> = 1...1) throws
    -> UserDatabaseError?
  {
    let at = try UserFolder()
    try at.write(journal: "delete").close()
    let before = try at.state
    defer { #expect((try? at.state) == before) }
    do { _ = try at.ids(sql, columnCounts: columnCounts) } catch let error as UserDatabaseError {
      return error
    }
    return nil
  }

  @Test(arguments: [
    "DELETE FROM t", "INSERT INTO t VALUES (1, 2)", "UPDATE t SET n = 3", "DROP TABLE t",
    "PRAGMA journal_mode=wal", "PRAGMA user_version", "ATTACH 'x.db' AS x", "VACUUM", "BEGIN",
    "SAVEPOINT s", "ANALYZE", "CREATE TEMP TABLE x (y)", "VACUUM INTO 'copy.db'",
    "SELECT load_extension('x')", "DETACH main",
    "WITH x AS (SELECT 1) DELETE FROM t",
  ])
  func refusesWhatDoesMoreThanRead(sql: String) throws {
    guard case .notReading = try refusal(sql) else {
      Issue.record("\(sql) was not refused for what it does")
      return
    }
  }

  @Test(arguments: [
    ("SELECT 1; SELECT 2", UserDatabaseError.severalStatements),
    ("SELECT 1, 2", .columnCount(found: 2, expected: 1...1)),
    ("SELECT NULL", .value(number: 1, column: 1, found: "NULL")),
    ("SELECT id FROM t UNION ALL SELECT x'00'", .value(number: 3, column: 1, found: "a blob")),
    ("SELECT 0.5", .value(number: 1, column: 1, found: "a real number")),
    ("", .query("the query is empty")),
  ])
  func refusesWhatGivesNoIDs(sql: String, expected: UserDatabaseError) throws {
    #expect(try refusal(sql) == expected)
  }

  @Test func refusesAnIndexThatIsNone() throws {
    #expect(
      try refusal("SELECT id, 'x' FROM t", columnCounts: 1...2)
        == .value(number: 1, column: 2, found: "text"))
    #expect(
      try refusal("SELECT id, -1 FROM t", columnCounts: 1...2)
        == .value(number: 1, column: 2, found: "-1"))
  }

  @Test(arguments: [
    "SELECT id FROM t;", "SELECT id FROM t -- all of them", "select id from t /* x */ ;\n",
    "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 3) SELECT n FROM c",
    "SELECT lower(id) FROM t",
  ])
  func takesWhatOnlyReads(sql: String) throws {
    #expect(try refusal(sql) == nil)
  }

  @Test func refusesWhatIsNoDatabase() throws {
    let at = try UserFolder()
    try Data(repeating: 0x61, count: 4096).write(to: URL(fileURLWithPath: at.path))
    #expect(throws: UserDatabaseError.self) { try at.ids() }
    #expect(throws: UserDatabaseError.self) { try UserDatabase(path: at.folder) }
    #expect(throws: UserDatabaseError.self) { try UserDatabase(path: at.folder + "/nothing") }
    #expect(try at.state.count == 1)
  }
}
