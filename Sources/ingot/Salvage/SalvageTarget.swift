// Where rows that come back can go: nowhere, into a file, or into a store (StoreSalvageTarget.swift).

import IngestAPI
import Salvage
import SystemIO

/// Takes rows in order. Nothing of it is to be believed before ``finish()``.
protocol SalvageTarget: AnyObject {
  /// All rows are shown before the first is taken.
  var looksFirst: Bool { get }
  func look(_ rows: RecoveredRows) throws
  /// - Throws: when the rows cannot be taken; nothing was written.
  func endLook() throws
  func take(_ rows: RecoveredRows) throws
  func finish() throws -> SalvageOutcome
  /// Called once, also after a failure.
  func close()
}

extension SalvageTarget {
  var looksFirst: Bool { false }
  func look(_ rows: RecoveredRows) throws {}
  func endLook() throws {}
  func close() {}
}

/// What was done with the rows that came back.
enum SalvageOutcome {
  case reported
  /// `rowCount` of 0: there was nothing to write a file of.
  case written(path: String, rowCount: Int)
  case stored(StoreOutcome)
}

/// Only counts.
final class NoTarget: SalvageTarget {
  func take(_ rows: RecoveredRows) {}
  func finish() -> SalvageOutcome { .reported }
}

/// A new .npy.
final class FileSalvageTarget: SalvageTarget {
  private let path: String
  private let output: NumPyOutput
  private let interruption: Interruption

  init(
    _ path: String, layout: SalvageLayout, replaces: Bool, _ interruption: Interruption
  ) throws {
    self.path = path
    self.interruption = interruption
    do throws(DiskError) {
      output = try NumPyOutput(
        path, dimension: layout.dimension, dtype: layout.dtype, replaces: replaces)
    } catch {
      guard error.isAlreadyThere else { throw Failure("\(error)", code: .couldNotRun) }
      throw Failure("\(path) is there already; --force replaces it", code: .conflict)
    }
    interruption.begin(output.file.partialPath)
  }

  func take(_ rows: RecoveredRows) throws { try unsafe output.append(rows.bytes) }

  func finish() throws -> SalvageOutcome {
    if output.rowCount > 0 {
      try output.publish()
      interruption.end(output.file.partialPath)
    }
    return .written(path: path, rowCount: output.rowCount)
  }
}

extension SalvageCommand {
  func target(
    _ layout: SalvageLayout, _ interruption: Interruption
  ) throws -> any SalvageTarget {
    if let out {
      return try FileSalvageTarget(out, layout: layout, replaces: force, interruption)
    }
    guard let intoStore else { return NoTarget() }
    let dimensionMax = BodyLimits().dimensionMax
    guard layout.dimension <= dimensionMax else {
      throw Failure(
        "\(source): rows have \(layout.dimension) numbers, and a collection takes at most \(dimensionMax); "
          + "--out writes them to a file", code: .inputUnusable)
    }
    return try StoreSalvageTarget(
      root: intoStore, configuration: serviceConfiguration(), collection: collection,
      layout: layout, rule: onConflict)
  }
}
