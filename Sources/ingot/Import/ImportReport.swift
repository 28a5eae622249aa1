// How an import reads when it is done, for people and for programs.

import Foundation
import ShardStore
import SystemIO

struct ImportReport: Encodable {
  var collection: String
  var dimension: Int
  var dtype: String
  var sources: [Source]
  /// Of all sources.
  var rows: Int
  var isDryRun: Bool
  var batchRows: Int
  var storedRows = 0
  var storedBatches = 0
  var knownRows = 0
  var knownBatches = 0
  var replacedRows = 0
  var skippedRows = 0
  /// The first of them; ``listedCountMax`` at most.
  var skipped: [SkippedRow] = []
  var seconds = 0.0

  struct Source: Encodable {
    let path: String
    let rows: Int
  }

  /// More rows that were left out are only counted.
  static let listedCountMax = 10_000

  enum CodingKeys: String, CodingKey {
    case collection, dimension, dtype, sources, rows, skipped, seconds
    case isDryRun = "dry_run"
    case batchRows = "batch_rows"
    case storedRows = "stored_rows"
    case storedBatches = "stored_batches"
    case knownRows = "known_rows"
    case knownBatches = "known_batches"
    case replacedRows = "replaced_rows"
    case skippedRows = "skipped_rows"
  }

  init(_ plan: ImportPlan, collection: String, isDryRun: Bool, batchRowCount: Int) {
    self.collection = collection
    self.isDryRun = isDryRun
    dimension = plan.shape.dimension
    dtype = plan.shape.dtype.name
    sources = plan.sources.map { Source(path: $0.path, rows: $0.rowCount) }
    rows = plan.rowCount
    batchRows = batchRowCount
  }

  mutating func add(_ importer: Importer, seconds: Double) {
    let tally = importer.target.tally
    storedRows = tally.storedRowCount
    storedBatches = tally.storedBatchCount
    knownRows = tally.knownRowCount
    knownBatches = tally.knownBatchCount
    replacedRows = importer.replacedRowCount
    skippedRows = importer.skippedRowCount
    self.seconds = seconds
  }

  var json: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }
  }

  var text: String {
    let shape = "dimension \(dimension), \(dtype)"
    let found =
      "\(rows) rows from \(sources.count) source\(sources.count == 1 ? "" : "s"), \(shape)"
    if isDryRun { return "could be stored in collection \(collection): \(found)\n" }
    var lines = [
      "stored: \(storedRows) rows in \(storedBatches) batches, collection \(collection), \(shape), "
        + "\(seconds.rounded(digits: 2)) s"
    ]
    if knownBatches > 0 {
      lines.append("stored before: \(knownRows) rows in \(knownBatches) batches")
    }
    if replacedRows > 0 {
      lines.append(
        "not stored: \(replacedRows) rows, each with a later row of the same id behind it")
    }
    if skippedRows > 0 { lines.append("left out: \(skippedRows) rows that are not finite") }
    return lines.map { $0 + "\n" }.joined()
  }
}
