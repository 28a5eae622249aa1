// `ingot salvage`: brings back what is whole in a broken .npy. What it does, in order: SalvageRun.swift.

import ArgumentParser
import Foundation
import IngestService
import Salvage
import ShardStore

struct SalvageCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "salvage",
    abstract: "Brings back the whole rows of a broken .npy file, and lists what is lost.",
    discussion: """
      Opens BROKEN.npy read-only and never writes to it. Rows are lost when the file ends before them, when it ends \
      within them, when they are zeros (a file that was cut and then opened with mmap_mode="r+" has its full size, \
      and zeros where rows should be), and when a number in them is NaN or infinite. A row that ends in zeros where \
      the zeros begin counts as torn. With --keep-zeros, zeros are rows like others.

      Without --into-store and --out it only reports, and exits with 1 when rows are lost.

      IDS. Row i belongs to the i-th id: of a text file (--ids, one on each line), or of a query on your SQLite \
      database (--database, --query), which is opened read-only. A query with one column gives the ids in the order of \
      the rows. A query with two columns gives id and row index, ordered by the index: prefer it, since it is right also \
      when an index is missing or NULL.

      A whole row that no id belongs to cannot be stored: it is counted as "no id", and the exit code is 1. A file (--out) \
      takes it all the same, unless --kept is to list the ids of its rows.

      INTO A STORE. The store must not be served at the same time. Batch ids are made from the content, so that running \
      the same command again, after it was interrupted or after it was done, stores nothing twice. When ids are in the \
      collection already, --on-conflict says what happens: error (the default) writes nothing and exits with 5, keep \
      leaves those rows out, replace appends them, and the newest row of an id is the one that is read.

      INTO A FILE. --out writes a .npy that NumPy opens. It gets its name only when it is complete; rows that are lost \
      inside are left out and those behind them move up, so take their ids from --kept.

      FILES that are written (--out, --lost, --kept) get their names only when they are complete. One that is there is \
      replaced with --force, else the exit code is 5; none may lie within a store.

      EXIT CODES: 0 done; 1 rows are lost (only without --into-store and --out), or whole rows were left \
      out since no id belongs to them; 2 a file or the disk cannot be used; \
      3 the store is in use; 4 the file, the ids or the query cannot be used as asked; 5 ids, or a \
      file that would be written, are there already; 64 a setting is wrong; 130 it was stopped by SIGINT or SIGTERM: files have no parts left, and the store has what was \
      acknowledged.

      EXAMPLES:
        ingot salvage embeddings.npy
        ingot salvage embeddings.npy --into-store ./ingot-data --collection clip --database images.db \\
          --query "select path, embedding_index from images order by embedding_index" --lost lost.txt
        ingot salvage embeddings.npy --out good.npy --ids ids.txt --kept kept.txt --lost lost.txt
        ingot salvage embeddings.npy --dimension 512 --dtype float32 --out good.npy
      """)

  @Argument(help: ArgumentHelp("The broken file.", valueName: "BROKEN.npy"))
  var source: String

  @Option(
    help: ArgumentHelp("Store that takes the rows; made when it is not there.", valueName: "DIR"))
  var intoStore: String?
  @Option(help: ArgumentHelp("Collection of the store; made when it is not there.", valueName: "C"))
  var collection = "default"
  @Option(help: ArgumentHelp("What to do with ids that are there: keep, replace or error."))
  var onConflict = ConflictRule.error
  @Option(help: ArgumentHelp("Rows of one shard file. Default 256MiB.", valueName: "SIZE"))
  var shardBytes: String?
  @Option(
    help: ArgumentHelp("Free disk space that is left. Default 512MiB.", valueName: "SIZE"))
  var diskReserve: String?
  @Option(help: ArgumentHelp("New .npy that takes the rows.", valueName: "GOOD.npy"))
  var out: String?
  @Flag(help: "Replaces the files of --out, --lost and --kept when they are there.")
  var force = false

  @Option(
    help: ArgumentHelp("Text with one id on each line; a pipe, too, as <(…).", valueName: "FILE"))
  var ids: String?
  @Option(help: ArgumentHelp("SQLite file with the ids.", valueName: "FILE"))
  var database: String?
  @Option(help: ArgumentHelp("What to ask the database.", valueName: "SQL"))
  var query: String?
  @Option(help: ArgumentHelp("Writes the ids whose rows are lost.", valueName: "FILE"))
  var lost: String?
  @Option(help: ArgumentHelp("Writes the ids whose rows came back, in order.", valueName: "FILE"))
  var kept: String?

  @Option(help: ArgumentHelp("Numbers in a row, when the header is damaged.", valueName: "N"))
  var dimension: Int?
  @Option(help: ArgumentHelp("float32 or float16, when the header is damaged."))
  var dtype: String?
  @Option(
    help: ArgumentHelp(
      "Where row 0 starts, when the header is damaged; 0 when it is missing. Default: found, or 128.",
      valueName: "N"))
  var headerBytes: Int?
  @Flag(help: "Rows of zeros are vectors, also at the end.")
  var keepZeros = false

  @Option(help: ArgumentHelp("Rows of one batch. Default: 4 MiB of them.", valueName: "N"))
  var batchRows: Int?
  @Flag(help: "Prints one JSON object.")
  var json = false
  @Flag(help: "Prints a line every 10 seconds where standard error is no terminal.")
  var progress = false

  func validate() throws {
    guard intoStore == nil || out == nil else {
      throw ValidationError("--into-store and --out exclude each other")
    }
    guard ids == nil || database == nil else {
      throw ValidationError("--ids and --database exclude each other")
    }
    guard (database == nil) == (query == nil) else {
      throw ValidationError("--database and --query belong together")
    }
    try outputs.checkNames()
    let hasIDs = ids != nil || database != nil
    if !hasIDs,
      let flag = intoStore.map({ _ in "--into-store" })
        ?? lost.map({ _ in "--lost" }) ?? kept.map({ _ in "--kept" })
    {
      throw ValidationError("\(flag) needs ids: give --ids, or --database and --query")
    }
    guard Collection.isValidName(collection) else {
      throw ValidationError(
        "--collection: '\(collection)' is no name: 1 to 63 of a-z, 0-9, '.', '_' and '-'")
    }
    guard intoStore != nil || (shardBytes == nil && diskReserve == nil) else {
      throw ValidationError("--shard-bytes and --disk-reserve are for --into-store")
    }
    _ = try serviceConfiguration()
    guard dtype == nil || parsedDtype != nil else {
      throw ValidationError("--dtype: '\(dtype ?? "")' is neither float32 nor float16")
    }
    for (flag, value, least) in [
      ("--dimension", dimension, 1), ("--header-bytes", headerBytes, 0),
      ("--batch-rows", batchRows, 1),
    ] where value.map({ $0 < least }) ?? false {
      throw ValidationError("\(flag) is \(value ?? 0), expected \(least) or more")
    }
  }

  var outputs: OutputFiles { OutputFiles(["--out": out, "--lost": lost, "--kept": kept]) }

  func serviceConfiguration() throws(ValidationError) -> ServiceConfiguration {
    try ServiceConfiguration(shardBytes: shardBytes, diskReserve: diskReserve)
  }

  private var parsedDtype: Dtype? {
    Dtype.allCases.first { $0.name == dtype || $0.rawValue == dtype }
  }

  var hints: SalvageHints {
    SalvageHints(dimension: dimension, dtype: parsedDtype, headerByteCount: headerBytes)
  }

  private var writes: Bool { intoStore != nil || out != nil }

  /// A file needs no ids, but where the ids of its rows are listed, each of its rows has one.
  var keepsNamelessRows: Bool { out != nil && kept == nil }

  func run() throws {
    let report = try SalvageRun(self).run()
    try StandardOutput.write(json ? report.json : report.text)
    let isIncomplete =
      writes ? report.leftOutRowCount > 0 : report.counts.lostRowCount > 0
    if isIncomplete { throw ExitCode.damage }
  }
}

/// What happens to rows whose ids are in the collection already.
enum ConflictRule: String, ExpressibleByArgument, CaseIterable {
  case keep, replace, error
}
