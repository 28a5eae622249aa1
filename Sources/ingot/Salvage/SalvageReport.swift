// How a salvage reads, for people and for programs. Made by SalvageRun.swift.

import Foundation
import Salvage
import ShardStore

struct SalvageReport {
  private let source: SalvageSource
  private let command: SalvageCommand
  private let tally: SalvageTally
  private let outcome: SalvageOutcome

  var counts: SalvageCounts { tally.counts }

  /// Whole rows that went nowhere, since no id belongs to them.
  var leftOutRowCount: Int { command.keepsNamelessRows ? 0 : tally.namelessRowCount }

  init(
    _ command: SalvageCommand, _ source: SalvageSource, _ tally: SalvageTally,
    _ outcome: SalvageOutcome
  ) {
    self.command = command
    self.source = source
    self.tally = tally
    self.outcome = outcome
  }

  // MARK: - For people

  var text: String {
    let layout = source.layout
    let head =
      "\(command.source): \(layout.dtype.name), dimension \(layout.dimension), rows start at byte "
      + "\(layout.dataOffset)"
    let lines = [head] + notes.map { "note: \($0)" } + table + outcomeLines + lists
    return lines.map { $0 + "\n" }.joined()
  }

  private var table: [String] {
    let extent = counts.extent
    let torn =
      extent.tornRowCount > 0
      ? "\(extent.tornByteCount) of \(source.layout.rowStride) bytes are there" : ""
    var rows: [(String, Int, String)] = [
      ("claimed", extent.claimedRowCount, ""), ("whole", extent.wholeRowCount, ""),
      ("torn", extent.tornRowCount, torn),
      ("zero tail", extent.zeroTailRowCount, "zeros up to the end of the file"),
      ("absent", extent.absentRowCount, "behind the end of the file"),
      ("non-finite", counts.nonFiniteRowCount, "a number is NaN or infinite"),
      ("zero", counts.zeroRowCount, "nothing but zeros, before the tail"),
      ("unreadable", counts.unreadableRowCount, "the disk does not give their bytes"),
      ("recovered", counts.recoveredRowCount, ""), ("lost", counts.lostRowCount, ""),
    ]
    if tally.namelessRowCount > 0 {
      rows.append(("no id", tally.namelessRowCount, "of those that were recovered"))
    }
    let width = rows.map { String($0.1).count }.max() ?? 0
    return rows.map { name, count, what in
      let number = String(count)
      let line =
        name + String(repeating: " ", count: 12 - name.count + width - number.count) + number
      return what.isEmpty || count == 0 ? line : line + "  " + what
    }
  }

  private var notes: [String] {
    var notes: [String] = []
    switch source.layout.header {
    case .whole: break
    case .overruled(let what): notes.append("the header says \(what); what was given is used")
    case .damaged(let reason, let place):
      notes.append(
        "the header cannot be read (\(reason)); rows are taken to start at byte "
          + "\(source.layout.dataOffset): \(place)")
    }
    if source.layout.behindByteCount > 0 {
      notes.append(
        "\(source.layout.behindByteCount) bytes lie behind the rows that the header claims and are not read"
      )
    }
    let zeroCount =
      counts.zeroRowCount + counts.extent.zeroTailRowCount + counts.extent.tornRowCount
    if zeroCount > 0, !command.keepZeros, counts.extent.absentRowCount == 0 {
      notes.append("when zeros are vectors here, --keep-zeros keeps them")
    }
    return notes
  }

  private var outcomeLines: [String] {
    switch outcome {
    case .reported: ["nothing was written; --into-store or --out bring the rows back"]
    case .written(let path, 0): ["no row came back; \(path) was not written"]
    case .written(let path, let rowCount):
      ["wrote \(rowCount) rows to \(path)"] + leftOut("written")
    case .stored(let stored):
      [
        "stored \(stored.storedRowCount) rows in collection \(stored.collection) of \(stored.root)"
          + (stored.repeatedRowCount > 0
            ? "; \(stored.repeatedRowCount) were stored by an earlier run" : "")
          + (stored.skippedRowCount > 0
            ? "; \(stored.skippedRowCount) were left out, since their ids are there" : "")
      ] + leftOut("stored")
    }
  }

  private func leftOut(_ done: String) -> [String] {
    leftOutRowCount > 0
      ? ["NOT \(done): \(leftOutRowCount) whole rows, since no id belongs to them"] : []
  }

  private var lists: [String] {
    let lost = command.lost.map { "wrote \(tally.lostIDCount ?? 0) lost ids to \($0)" }
    let kept = command.kept.map { "wrote the ids of the rows that came back to \($0)" }
    return [lost, kept].compactMap(\.self)
  }

  // MARK: - For programs

  private struct Document: Encodable {
    var source: String
    var header: String
    var dtype: String
    var dimension: Int
    var dataOffset: Int
    var claimedRows: Int
    var wholeRows: Int
    var tornRows: Int
    var tornBytes: Int
    var zeroTailRows: Int
    var absentRows: Int
    var nonFiniteRows: Int
    var zeroRows: Int
    var unreadableRows: Int
    var recoveredRows: Int
    var lostRows: Int
    var lostIds: Int?
    var rowsWithoutId: Int
    var writtenRows: Int?
    var storedRows: Int?
    var repeatedRows: Int?
    var skippedRows: Int?
    var notes: [String]
  }

  var json: String {
    get throws {
      let extent = counts.extent
      var document = Document(
        source: command.source, header: headerState, dtype: source.layout.dtype.name,
        dimension: source.layout.dimension, dataOffset: source.layout.dataOffset,
        claimedRows: extent.claimedRowCount, wholeRows: extent.wholeRowCount,
        tornRows: extent.tornRowCount, tornBytes: extent.tornByteCount,
        zeroTailRows: extent.zeroTailRowCount, absentRows: extent.absentRowCount,
        nonFiniteRows: counts.nonFiniteRowCount, zeroRows: counts.zeroRowCount,
        unreadableRows: counts.unreadableRowCount, recoveredRows: counts.recoveredRowCount,
        lostRows: counts.lostRowCount, lostIds: tally.lostIDCount,
        rowsWithoutId: tally.namelessRowCount, notes: notes)
      switch outcome {
      case .reported: break
      case .written(_, let rowCount): document.writtenRows = rowCount
      case .stored(let stored):
        document.storedRows = stored.storedRowCount
        document.repeatedRows = stored.repeatedRowCount
        document.skippedRows = stored.skippedRowCount
      }
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      encoder.keyEncodingStrategy = .convertToSnakeCase
      return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
    }
  }

  private var headerState: String {
    switch source.layout.header {
    case .whole: "whole"
    case .overruled: "overruled"
    case .damaged: "damaged"
    }
  }
}
