// Where the ids of a salvage come from: a text file or the user's database. All are checked before a row is written.

import ArgumentParser
import Catalog
import Foundation
import Salvage
import SystemIO

/// One of the two sources of ids.
struct SalvageIDs {
  private enum Source {
    case lines(String)
    case database(String, query: String)
  }

  private let source: Source

  /// Nil when no ids were given.
  init?(_ command: SalvageCommand) {
    if let ids = command.ids {
      source = .lines(ids)
    } else if let database = command.database, let query = command.query {
      source = .database(database, query: query)
    } else {
      return nil
    }
  }

  /// Reads and checks all ids.
  ///
  /// - Parameter wholeRowCount: As many ids are needed, unless a query says which row each belongs to.
  func spool(wholeRowCount: Int) throws -> IDSpool {
    let temporary = FileManager.default.temporaryDirectory.path
    var spool = IDSpool(inDirectory: temporary)
    var isMapped = false
    switch source {
    case .lines(let path): try read(lines: path, into: &spool)
    case .database(let path, let query):
      isMapped = try read(database: path, query, into: &spool)
    }
    guard isMapped || spool.count >= wholeRowCount else {
      throw Failure(
        "\(name) has \(spool.count) ids, and \(wholeRowCount) rows are whole: which row an id belongs to "
          + "cannot be told; give an id for every row, or a query with two columns, id and row index",
        code: .inputUnusable)
    }
    return spool
  }

  private var name: String {
    switch source {
    case .lines(let path): path
    case .database: "the query"
    }
  }

  private func read(lines path: String, into spool: inout IDSpool) throws {
    do {
      var lines = try IDLines(path)
      while let line = try lines.next() {
        let row = spool.count
        do throws(IDSpoolProblem) { try spool.append(line, row: row) } catch {
          throw Failure("\(path): \(error.text("line", row + 1))", code: error.exitCode)
        }
      }
    } catch let error as DiskError {
      throw Failure("\(error)", code: error.code == EINVAL ? .inputUnusable : .couldNotRun)
    }
  }

  /// - Returns: whether the query said which row each id belongs to.
  private func read(
    database path: String, _ query: String, into spool: inout IDSpool
  ) throws -> Bool {
    var isMapped = false
    var number = 0
    do {
      try UserDatabase(path: path).forEach(query, columnCounts: 1...2) { entry in
        number += 1
        isMapped = entry.hasIndex
        // An id without an index has no row.
        guard let row = entry.hasIndex ? entry.index : spool.count else { return }
        do throws(IDSpoolProblem) {
          try unsafe spool.append(entry.id, row: row)
        } catch {
          throw Failure(error.text("answer of the query", number), code: error.exitCode)
        }
      }
    } catch let error as UserDatabaseError {
      throw Failure(error)
    }
    return isMapped
  }
}

extension IDSpool {
  fileprivate mutating func append(
    _ id: ArraySlice<UInt8>, row: Int
  ) throws(IDSpoolProblem) {
    var problem: IDSpoolProblem?
    unsafe id.withUnsafeBytes { bytes in
      do throws(IDSpoolProblem) { try append(bytes, row: row) } catch { problem = error }
    }
    if let problem { throw problem }
  }
}

extension IDSpoolProblem {
  /// - Parameters:
  ///   - place: What entries are called.
  ///   - number: Of the one that is wrong, from 1.
  fileprivate func text(_ place: String, _ number: Int) -> String {
    let start = "\(place) \(number)"
    switch self {
    case .flaw(let flaw): return "\(start) \(flaw)"
    case .duplicate(let first, let id):
      return "\(start) repeats the id '\(id)', which \(place) \(first) has: an id has one row"
    case .outOfOrder(let row, let previous) where row == previous:
      return "\(start) has the row index \(row) as the one before it: an index has one id"
    case .outOfOrder(let row, let previous):
      return "\(start) has the row index \(row) behind \(previous); add 'order by' to the query"
    case .disk(let error): return "\(error)"
    }
  }

  fileprivate var exitCode: ExitCode {
    if case .disk = self { .couldNotRun } else { .inputUnusable }
  }
}

extension Failure {
  init(_ error: UserDatabaseError) {
    switch error {
    case .cannotOpen, .changedMeanwhile: self.init("\(error)", code: .couldNotRun)
    case .notADatabase, .query, .notReading, .severalStatements, .columnCount, .value:
      self.init("\(error)", code: .inputUnusable)
    }
  }
}
