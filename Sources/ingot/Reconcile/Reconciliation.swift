// The order of a comparison: every id of the database, every id of the store, then positions.
// What comes out: ReconcileReport.swift.

import ArgumentParser
import Catalog
import Foundation
import Salvage
import ShardStore
import SystemIO

struct Reconciliation {
  private let command: ReconcileCommand
  private let bar: ProgressBar
  private let interruption = Interruption()

  /// Ids that are looked up together.
  private static let lookupCount = 8192

  init(_ command: ReconcileCommand) {
    self.command = command
    bar = ProgressBar("ingot reconcile", isAsked: command.progress)
  }

  func run() throws -> ReconcileReport {
    defer { bar.end() }
    var report = ReconcileReport(command)
    try command.outputs.check(inputs: [command.database])
    try command.outputs.checkKinds()
    if !command.force { try command.outputs.checkFree() }
    do {
      // First, so that nothing is locked and recovered for a query that is refused.
      let database = try UserDatabase(path: command.database)
      for (query, columnCount) in [(command.query, 1), (command.map, 2)] {
        if let query { try database.check(query, columnCounts: columnCount...columnCount) }
      }
      let lists = try ReconcileLists(command, interruption)
      let side = try command.side()
      defer { side.close() }
      if let query = command.query {
        try compareIDs(database, query, with: side, lists, &report)
      }
      if let map = command.map { try comparePositions(database, map, with: side, &report) }
      try interruption.check()
      try lists.publish()
    } catch let error as UserDatabaseError {
      throw Failure(error)
    } catch let error as DiskError {
      throw Failure("\(error)", code: .couldNotRun)
    }
    return report
  }

  private func compareIDs(
    _ database: UserDatabase, _ query: String, with side: any ReconcileSide,
    _ lists: ReconcileLists, _ report: inout ReconcileReport
  ) throws {
    var known = IDHashes()
    try forEachPiece(of: database, query, columnCount: 1) { piece in
      for (number, state) in try side.states(of: piece.ids).enumerated() {
        let id = piece.ids[number]
        if unsafe !id.withUnsafeBytes({ known.insert($0) }) { report.repeatedCount += 1 }
        report.databaseCount += 1
        switch state {
        case .there: report.matchedCount += 1
        case .missing, .deleted:
          report.missingCount += 1
          if case .deleted = state { report.deletedCount += 1 }
          try lists.missing?.append(line: id)
        case .quarantined:
          report.quarantinedCount += 1
          try lists.quarantined?.append(line: id)
        }
      }
      bar.show(count: report.databaseCount, "ids of the database")
    }
    try side.forEachID { id in
      report.storeCount += 1
      if report.storeCount % Self.lookupCount == 0 {
        try interruption.check()
        bar.show(count: report.storeCount, "ids of the store")
      }
      guard unsafe !id.withUnsafeBytes({ known.contains($0) }) else { return }
      report.extraCount += 1
      try lists.extra?.append(line: id)
    }
  }

  private func comparePositions(
    _ database: UserDatabase, _ query: String, with side: any ReconcileSide,
    _ report: inout ReconcileReport
  ) throws {
    try forEachPiece(of: database, query, columnCount: 2) { piece in
      for (number, state) in try side.states(of: piece.ids).enumerated() {
        var found: Int?
        if case .there(let position) = state { found = position }
        report.compare(piece.ids.string(number), expected: piece.positions[number], found: found)
      }
      bar.show(count: report.comparedCount, "positions")
    }
  }

  /// Ids of the database that are looked up together.
  private struct Piece {
    let ids: IDList
    let positions: [Int]
  }

  private func forEachPiece(
    of database: UserDatabase, _ query: String, columnCount: Int, _ take: (Piece) throws -> Void
  ) throws {
    var ids = IDList.Builder(expecting: Self.lookupCount)
    var positions: [Int] = []
    var number = 0
    func takeAll() throws {
      guard ids.count > 0 else { return }
      try interruption.check()
      try take(Piece(ids: ids.finishWithRepetitions(), positions: positions))
      ids = IDList.Builder(expecting: Self.lookupCount)
      positions.removeAll(keepingCapacity: true)
    }
    try database.forEach(query, columnCounts: columnCount...columnCount) { entry in
      number += 1
      // What has no index has no place to be compared.
      if entry.hasIndex, entry.index == nil { return }
      if let flaw = unsafe IDFlaw(entry.id) {
        throw Failure("answer \(number) of the query \(flaw)", code: .inputUnusable)
      }
      do throws(IDProblem) { try unsafe ids.append(validUTF8: entry.id) } catch {
        throw Failure("answer \(number) of the query: \(error)", code: .inputUnusable)
      }
      if let index = entry.index { positions.append(index) }
      if ids.count == Self.lookupCount { try takeAll() }
    }
    try takeAll()
  }
}

/// The files with ids that were asked for.
final class ReconcileLists {
  let missing: NewFile?
  let extra: NewFile?
  let quarantined: NewFile?
  private let interruption: Interruption

  init(_ command: ReconcileCommand, _ interruption: Interruption) throws {
    self.interruption = interruption
    missing = try command.missingTo.map { try NewFile($0, replaces: command.force, interruption) }
    extra = try command.extraTo.map { try NewFile($0, replaces: command.force, interruption) }
    quarantined = try command.quarantinedTo.map {
      try NewFile($0, replaces: command.force, interruption)
    }
  }

  func publish() throws(DiskError) {
    for file in [missing, extra, quarantined] { try file?.publish(interruption) }
  }
}
