// `ingot export`: the live rows of a collection as a file or a folder. From a store: StoreExport.swift. From a
// server: ServerExport.swift. What is said at the end: ExportReport.swift.

import ArgumentParser
import Foundation
import SystemIO

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write the live rows of a collection to a file that other programs read.",
    discussion: """
      The live view is the newest row of each id that is not deleted, in the order in which the rows were stored. Two \
      exports without a change between them are equal, byte for byte. FORMAT is:

        npy           numpy.load: rows × dimension, float32 or float16 as the collection has it
        npz           numpy.load: "ids" and "embeddings"
        fbin          Big ANN Benchmarks: rows and dimension as 32-bit integers, then float32
        f32           nothing but float32, for numpy.fromfile
        safetensors   one tensor, "embeddings"
        ids           the ids, one a line, in the order of the rows of the others

      When it is not given, the end of FILE's name says it: .npy, .npz, .fbin, .f32, .safetensors, or .txt for ids. All \
      but ids and npz are without ids; --ids writes those of the same rows beside them. float16 is widened in fbin and \
      f32. An id that has a line feed within makes two lines: npz has it as it is.

      FILE is written as FILE.part. Once all bytes are there, their checksum is right and they are durable, it gets its \
      name; before, nothing is to be seen under it. Room is reserved first where the file system can. SIGINT and SIGTERM \
      remove FILE.part; after a crash the next export of that name takes its place. With - for FILE the bytes go to \
      standard output and the summary to standard error. Nothing is written within a store.

      --layout clip-retrieval makes a folder instead: img_emb/img_emb_N.npy, one per shard, and the ids in \
      metadata/metadata_N.parquet, column image_path. embedding-reader, autofaiss and clip-retrieval read it. Where all \
      rows of a sealed shard are live, and the folder is on the disk of the store, its file is a hard link and takes no \
      room: then the file IS the store's, and whoever writes into it damages the store. --copy makes copies.

      With --store the store must not be in use; it is opened as a server would open it, which locks it, repairs what a \
      crash left, and may seal shards. With --url the bytes are compared with the checksum that the server sends behind \
      them, and asked for again when the connection breaks.

      Rows that are damaged, or whose shard is lost, are left out and counted; the exit code is 1 then. To learn which of \
      your ids they are, send the ids to POST /v1/collections/NAME/missing.

      EXIT CODES: 0 everything is written; 1 it is written, and damaged rows were left out; 2 a file, the store or the \
      server cannot be used; 3 the store is in use; 4 FILE is within a store; 64 an option is wrong; 130 it was stopped by a signal. After 2, 3, 4, 64 \
      and 130 nothing is written under the name.

      EXAMPLES:
        ingot export --store ./data --collection clip --out clip.npy --ids clip.txt
        ingot export --url http://127.0.0.1:8080 --collection clip --out clip.safetensors
        ingot export --store ./data --collection clip --format ids --out - | wc -l
        ingot export --store ./data --collection clip --layout clip-retrieval --out ./embeddings
      """)

  @Option(
    help: ArgumentHelp("Directory of a store that is not in use.", valueName: "DIR"))
  var store: String?
  @Option(
    help: ArgumentHelp("A running server, such as http://127.0.0.1:8080.", valueName: "URL"))
  var url: String?
  @Option(help: ArgumentHelp("Collection to export.", valueName: "NAME"))
  var collection = "default"
  @Option(
    help: ArgumentHelp(
      "npy, npz, fbin, f32, safetensors or ids. Default as FILE ends.", valueName: "FORMAT"))
  var format: String?
  @Option(
    help: ArgumentHelp(
      "With --store: clip-retrieval, for a folder that embedding-reader reads.", valueName: "NAME"))
  var layout: String?
  @Option(
    help: ArgumentHelp("What is written; - is standard output.", valueName: "FILE"))
  var out: String
  @Option(
    help: ArgumentHelp("Write the ids of the same rows to this file, too.", valueName: "FILE"))
  var ids: String?
  @Flag(help: "Replace files that are there, or a folder that an export made.")
  var force = false
  @Flag(help: "With --layout: copy files, and link none.")
  var copy = false
  @Flag(help: "Print one JSON object.")
  var json = false
  @Flag(help: "Print a line every 10 seconds where standard error is no terminal.")
  var progress = false

  func validate() throws { _ = try checkedSettings() }

  func run() throws {
    let settings = try checkedSettings()
    try settings.outputs.check()
    if case .file = settings.form { try settings.outputs.checkKinds() }
    let interruption = Interruption()
    let began = MonotonicTime.now
    let bar = ProgressBar("ingot export", isAsked: progress)
    defer { bar.end() }
    var report = ExportReport(settings)
    switch (settings.place, settings.form) {
    case (.store(let root), .file(let format)):
      let source = try StoreExport(root: root, collection: collection, interruption, bar)
      defer { source.close() }
      try source.write(format, settings, &report)
    case (.store(let root), .clipRetrieval(let copies)):
      let source = try StoreExport(root: root, collection: collection, interruption, bar)
      defer { source.close() }
      try source.writeFolder(settings, copies: copies, &report)
    case (.server(let address), .file(let format)):
      let source = ServerExport(address, collection: collection, interruption, bar)
      try source.write(format, settings, &report)
    case (.server, .clipRetrieval):
      throw Failure("--layout needs --store", code: .couldNotRun)
    }
    bar.end()
    report.seconds = began.duration(to: .now).seconds
    try show(report, isStandardOutputTaken: settings.out == nil)
  }

  private func show(_ report: ExportReport, isStandardOutputTaken: Bool) throws {
    let text = json ? try report.json : report.text
    if isStandardOutputTaken {
      StandardError.write(text)
    } else {
      try StandardOutput.write(text)
    }
    for warning in report.warnings { StandardError.write(line: "ingot export: \(warning)") }
    if report.isIncomplete { throw ExitCode.damage }
  }
}
