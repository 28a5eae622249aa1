// The order of a salvage: look at the file, check all ids, then bring rows and ids to where they go.
// Where that is: SalvageTarget.swift. What is said of it: SalvageReport.swift.

import ArgumentParser
import Foundation
import Salvage
import SystemIO

struct SalvageRun {
  private let command: SalvageCommand
  private let bar: ProgressBar
  private let interruption = Interruption()

  /// Pieces on their way at once: one is read while others are written and synced.
  private static let bufferCount = 4
  private static let pieceByteCount = 4 << 20
  private static let pieceByteCountMax = 16 << 20

  init(_ command: SalvageCommand) {
    self.command = command
    bar = ProgressBar("ingot salvage", isAsked: command.progress)
  }

  func run() throws -> SalvageReport {
    defer { bar.end() }
    try command.outputs.check(inputs: [command.source, command.ids, command.database])
    try command.outputs.checkKinds()
    if !command.force { try command.outputs.checkFree() }
    do {
      let source = try SalvageSource(
        command.source.followingLinks, hints: command.hints, keepsZeros: command.keepZeros)
      let ids = try SalvageIDs(command)?.spool(wholeRowCount: source.extent.wholeRowCount)
      return try bringBack(source, ids: ids)
    } catch let refused as SalvageRefused {
      throw Failure(refused, path: command.source)
    } catch let error as DiskError {
      throw Failure("\(error)", code: .couldNotRun)
    }
  }

  private func bringBack(_ source: SalvageSource, ids: IDSpool?) throws -> SalvageReport {
    var ids = ids
    let rowCount = try rowsPerPiece(source.layout.rowStride)
    let pool = RowBufferPool(
      bufferCount: Self.bufferCount, byteCount: rowCount * source.layout.rowStride)
    let reader = SalvageReader(source, rowsPerPiece: rowCount, pool: pool)
    let lists = try SalvageLists(command, interruption)
    let target = try command.target(source.layout, interruption)
    defer { target.close() }
    if target.looksFirst {
      _ = try go(through: reader, source, ids: &ids, lists: nil) { try target.look($0) }
      try target.endLook()
    }
    let tally = try go(through: reader, source, ids: &ids, lists: lists) { try target.take($0) }
    try interruption.check()
    let outcome = try target.finish()
    try lists.publish()
    return SalvageReport(command, source, tally, outcome)
  }

  /// Reads every whole row once, and every id.
  private func go(
    through reader: SalvageReader, _ source: SalvageSource, ids: inout IDSpool?,
    lists: SalvageLists?, _ take: (RecoveredRows) throws -> Void
  ) throws -> SalvageTally {
    var reader = reader
    var tally = SalvageTally(counts: SalvageCounts(source.extent))
    var naming: RowNaming?
    if let names = try ids?.reader() {
      naming = try RowNaming(names, keepsNamelessRows: command.keepsNamelessRows)
    }
    while let piece = reader.next() {
      try interruption.check()
      tally.counts.add(piece)
      let rows = try naming?.name(piece, lost: { id throws(DiskError) in try lists?.lose(id) })
      if let ids = rows?.ids { try lists?.keep(ids) }
      try take(rows ?? RecoveredRows(piece))
      bar.show(
        byteCount: piece.rows.upperBound * piece.rowStride,
        of: source.extent.wholeRowCount * piece.rowStride)
    }
    try naming?.finish(lost: { id throws(DiskError) in try lists?.lose(id) })
    tally.lostIDCount = naming?.lostIDCount
    tally.namelessRowCount = naming?.namelessRowCount ?? 0
    return tally
  }

  private func rowsPerPiece(_ rowStride: Int) throws -> Int {
    guard let asked = command.batchRows else { return max(1, Self.pieceByteCount / rowStride) }
    guard asked == 1 || asked <= Self.pieceByteCountMax / rowStride else {
      throw Failure(
        "--batch-rows is \(asked): with \(rowStride) bytes each, at most "
          + "\(max(1, Self.pieceByteCountMax / rowStride)) rows make a batch",
        code: ExitCode(EX_USAGE))
    }
    return asked
  }
}

/// What one pass over rows and ids found.
struct SalvageTally {
  var counts: SalvageCounts
  /// Nil when there are no ids.
  var lostIDCount: Int?
  var namelessRowCount = 0
}

extension Failure {
  init(_ refused: SalvageRefused, path: String) {
    switch refused {
    // Not a regular file is the caller's mistake, all else that of the machine.
    case .disk(let error) where error.code != EINVAL: self.init("\(error)", code: .couldNotRun)
    default: self.init("\(path): \(refused)", code: .inputUnusable)
    }
  }
}
