// `ingot import`: stores what lies in .npy and .npz files. Reading: ImportSource.swift. Storing: Importer.swift.

import ArgumentParser
import Foundation
import IngestService
import ShardStore
import SystemIO

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Store the embeddings of .npy and .npz files.",
    discussion: """
      Reads each SOURCE in its order and stores its rows in the collection, which is made when it is not there. A SOURCE \
      is:

        FILE.npy   an array of rows × numbers. Its ids are in the file that --ids names, one per line of text or as an \
      array of integers, strings or bytes; or in FILE.ids.txt or FILE.ids.npy beside it; or they are the integers from \
      --first-id on.
        FILE.npz   an archive with the members "ids" and "embeddings", stored or deflated, as numpy.savez writes it.
        FOLDER     every .npy and .npz in it, by name, with ids as above. Folders within are not looked at.

      Numbers are float32 or float16; others are taken with --convert. All sources are checked before anything is stored: \
      their shapes, their types, the number of their ids, and archives to their last byte. A source of another dimension \
      than the collection's is refused then.

      Rows are read and stored in batches, and memory does not grow with the sources. A batch is acknowledged when it is \
      durable. Its id is made of what it holds and of its place in its source, so that an import which was broken off, \
      by a crash of either side too, can be run again: batches that are stored are skipped, and each row is stored once. \
      This holds as long as --batch-rows, --convert, --skip-non-finite and --label stay the same.

      When an id comes several times, the last row wins, in one source and over all of them.

      With --store the store must not be in use; it is made when the directory is empty or not there. With --url a \
      server is sent the batches; when it is full, busy, stopping or gone, import says so and tries again for as long as \
      --retry-seconds.

      EXIT CODES: 0 everything is stored; 2 a file, the store or the server cannot be used; 3 the store is in use; 4 a \
      source cannot be stored as it is; 64 an option is wrong. After 2 and 4, what was stored before stays.

      EXAMPLES:
        ingot import --store ./data --collection clip --ids ids.txt rows.npy
        ingot import --url http://127.0.0.1:8080 --collection clip shards/
        ingot import --store ./data --first-id 0 --convert float32 rows.npy
      """)

  @Option(
    help: ArgumentHelp("Directory of a store that is not in use.", valueName: "DIR"))
  var store: String?
  @Option(
    help: ArgumentHelp("A running server, such as http://127.0.0.1:8080.", valueName: "URL"))
  var url: String?
  @Option(help: ArgumentHelp("Collection to store in.", valueName: "NAME"))
  var collection = "default"
  @Option(
    help: ArgumentHelp(
      "Ids of a .npy: text with one per line, or a .npy. Given once for each source, in their order.",
      valueName: "FILE"))
  var ids: [String] = []
  @Option(
    help: ArgumentHelp(
      "Ids are integers from N on, over all sources that are a .npy.", valueName: "N"))
  var firstId: UInt64?
  @Option(
    help: ArgumentHelp(
      "Rows of a batch. Default as many as 4 MiB hold, at most 65536.", valueName: "N"))
  var batchRows: Int?
  @Option(
    help: ArgumentHelp(
      "Make all numbers float32 or float16, rounded to the nearest.", valueName: "DTYPE"))
  var convert: String?
  @Flag(help: "Leave out rows with NaN or infinity, and print them; otherwise they end the import.")
  var skipNonFinite = false
  @Option(
    help: ArgumentHelp(
      "What batch ids begin with. Another label stores rows again that are stored already.",
      valueName: "TEXT"))
  var label = "import"
  @Option(
    help: ArgumentHelp(
      "With --url: how long one batch is tried again. Default 300.", valueName: "S"))
  var retrySeconds: Int?
  @Option(
    help: ArgumentHelp(
      "With --store: rows of one shard file. Default 256MiB.", valueName: "SIZE"))
  var shardBytes: String?
  @Option(
    help: ArgumentHelp(
      "With --store: free disk space that is left. Default 512MiB.", valueName: "SIZE"))
  var diskReserve: String?
  @Flag(help: "Check the sources against the collection, and store nothing.")
  var dryRun = false
  @Flag(help: "Print one JSON object.")
  var json = false
  @Flag(help: "Print a line every 10 seconds where standard error is no terminal.")
  var progress = false
  @Argument(help: ArgumentHelp("A .npy, a .npz, or a folder of them.", valueName: "SOURCE"))
  var sources: [String]

  func validate() throws { _ = try checkedSettings() }

  func run() throws {
    let settings = try checkedSettings()
    let began = MonotonicTime.now
    let target: any ImportTarget =
      switch settings.place {
      case .store(let root, let configuration):
        try StoreTarget(root: root, configuration: configuration)
      case .server(let address, let policy):
        ServerTarget(
          ServerClient(address, policy: policy) { note in
            // A progress bar may stand in the line.
            StandardError.write(line: (StandardError.isTerminal ? "\r\u{1B}[K" : "") + note)
          })
      }
    let existing = try target.shape(of: collection)
    let found = try SourceFinder(idFiles: ids, firstID: firstId).find(sources)
    let checking = ProgressBar("ingot import: checking", isAsked: progress)
    defer { checking.end() }
    let plan = try ImportPlan(
      checking: found, target: settings.dtype, existing: existing, progress: checking)
    checking.end()
    let batchRowCount = try settings.batchRowCount(for: plan)
    var report = ImportReport(
      plan, collection: collection, isDryRun: dryRun, batchRowCount: batchRowCount)
    if !dryRun {
      try store(plan, in: target, batchRowCount: batchRowCount, began, &report)
    }
    try StandardOutput.write(json ? report.json : report.text)
  }

  private func store(
    _ plan: ImportPlan, in target: any ImportTarget, batchRowCount: Int, _ began: MonotonicTime,
    _ report: inout ImportReport
  ) throws(Failure) {
    let bar = ProgressBar("ingot import", isAsked: progress)
    var listed: [SkippedRow] = []
    var unwritten: Failure?
    var importer = Importer(
      plan, into: target, collection: collection, batchRowCount: batchRowCount, label: label,
      skipsNonFinite: skipNonFinite, progress: bar
    ) { row in
      if listed.count < ImportReport.listedCountMax { listed.append(row) }
      guard !json, unwritten == nil else { return }
      let line = "left out: \(row.source), row \(row.row), id \(row.id): not finite\n"
      do throws(Failure) { try StandardOutput.write(line) } catch { unwritten = error }
    }
    defer { bar.end() }
    try importer.run()
    report.add(importer, seconds: began.duration(to: .now).seconds)
    report.skipped = listed
    if let unwritten { throw unwritten }
  }
}
