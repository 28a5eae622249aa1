// Reads sources batch by batch and gives the batches to a target. What they are: ImportPlan.swift.

import IngestAPI
import IngestService
import ShardStore
import SystemIO

/// A row that was left out.
struct SkippedRow: Encodable, Sendable {
  let source: String
  /// From 0.
  let row: Int
  let id: String
}

struct Importer {
  let plan: ImportPlan
  let collection: String
  let target: any ImportTarget
  let batchRowCount: Int
  let label: String
  let skipsNonFinite: Bool
  let progress: ProgressBar
  /// Told of every row that is left out.
  let skipped: (SkippedRow) -> Void

  /// Rows of one batch that had a later row of the same id behind them.
  private(set) var replacedRowCount = 0
  private(set) var skippedRowCount = 0
  private var doneRowCount = 0
  private var hasBegun = false

  init(
    _ plan: ImportPlan, into target: any ImportTarget, collection: String, batchRowCount: Int,
    label: String, skipsNonFinite: Bool, progress: ProgressBar,
    skipped: @escaping (SkippedRow) -> Void
  ) {
    self.plan = plan
    self.collection = collection
    self.target = target
    self.batchRowCount = batchRowCount
    self.label = label
    self.skipsNonFinite = skipsNonFinite
    self.progress = progress
    self.skipped = skipped
  }

  /// Stores everything, or stops at the first batch that cannot be stored.
  mutating func run() throws(Failure) {
    do throws(Failure) {
      for source in plan.sources { try store(source) }
    } catch {
      // What was given before is stored; its own failure, if there is one, came first.
      try target.finish()
      throw error
    }
    try target.finish()
  }

  private mutating func store(_ source: ImportSource) throws(Failure) {
    guard source.rowCount > 0 else { return }
    let open = try OpenSource(source)
    guard open.rowCount == source.rowCount, open.dimension == source.dimension,
      open.descr == source.descr
    else {
      throw Failure("\(source.path) changed while it was read", code: .inputUnusable)
    }
    var row = 0
    while row < source.rowCount {
      let count = min(batchRowCount, source.rowCount - row)
      let piece = try decode(open, count, at: row, of: source)
      report(piece, at: row, of: source)
      if let batch = piece.batch {
        // Not before there is something to store: an import that stores nothing leaves no collection behind.
        if !hasBegun { try target.begin(collection, plan.shape) }
        hasBegun = true
        try target.store(
          ImportBatch(id: batchID(batch, number: row / batchRowCount), batch: batch))
      }
      row += count
      doneRowCount += count
      let rowByteCount = plan.shape.dimension * plan.shape.dtype.byteCount
      progress.show(byteCount: doneRowCount * rowByteCount, of: plan.byteCount)
    }
    try open.readToEnd()
  }

  private func decode(
    _ open: OpenSource, _ count: Int, at row: Int, of source: ImportSource
  ) throws(Failure) -> DecodedPiece {
    let shape = plan.shape
    var rows = try open.readRows(count)
    if let number = SourceNumber(descr: source.descr), number.dtype != shape.dtype {
      rows = number.converted(rows, to: shape.dtype)
    }
    let decoder = PieceDecoder(
      dimension: shape.dimension, dtype: shape.dtype, leavesOutNonFinite: skipsNonFinite)
    let ids = try open.readIDs(count)
    do throws(BodyError) { return try decoder.decode(ids: ids, rows: rows) } catch {
      throw refusal(error.counted(from: row), of: source)
    }
  }

  private func refusal(_ error: BodyError, of source: ImportSource) -> Failure {
    var text = "\(source.path): \(error.fileDetail)"
    if case .nonFinite = error {
      text +=
        ", or run again with --skip-non-finite. What came before is stored and is then skipped"
    }
    return Failure(text, code: .inputUnusable)
  }

  private mutating func report(_ piece: DecodedPiece, at row: Int, of source: ImportSource) {
    replacedRowCount += piece.replacedRowCount
    skippedRowCount += piece.nonFinite.count
    for bad in piece.nonFinite {
      skipped(SkippedRow(source: source.path, row: row + bad.row, id: bad.id))
    }
  }

  /// What a batch holds and where it stands in its source; described in docs/operating.md.
  private func batchID(_ batch: Batch, number: Int) -> String {
    let digits = String(number)
    let padding = String(repeating: "0", count: max(0, 6 - digits.count))
    let digest = batch.contentDigest.bytes.map { byte in
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }.joined()
    return "\(label).\(digest).\(padding)\(digits)"
  }
}
