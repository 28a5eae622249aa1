// `ingot bench`: how fast this machine takes in embeddings. What is measured: ThroughputMeasurement.swift,
// GrowthMeasurement.swift and StartupMeasurement.swift.

internal import ArgumentParser

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure how fast embeddings are taken in.",
    discussion: """
      Starts a server of its own on a new store in the current directory, and so on the disk that the directory is on, \
      sends it batches of random rows of length 1 from this process, and ends it. Everything that it made is removed. \
      With --url it drives a server that runs already; the rows stay there.

      Each connection has a thread that sends a batch, waits until it is acknowledged, and sends the next. MB are \
      10^6 bytes of rows, whatever the format makes of them. "Time per batch" is the time of all connections \
      together divided by the batches that they got acknowledged.

      With --floor a bare server takes turns with Ingot: it receives the same bytes, computes their CRC32C, writes them \
      to a preallocated file, syncs whatever is waiting at once, and answers one byte. With --format json or ndjson \
      simdjson alone parses the same rows in turn, on one core.

      What is measured stays on the disk until the end: 10 seconds at 1000 MB/s take 10 GB, and --floor its own part.

      EXIT CODES: 0 every batch was acknowledged; 1 some were not, which ones the report says; 2 nothing could be \
      measured; 64 an option is wrong.

      EXAMPLES:
        ingot bench --floor
        ingot bench --format json --connections 16 --json
        ingot bench --url http://127.0.0.1:8080 --collection trial
        ingot bench --growth
        ingot bench --startup 100
      """)

  @Option(
    help: ArgumentHelp(
      "Drive the server at URL, such as http://127.0.0.1:8080, and start none.", valueName: "URL"))
  var url: String?
  @Option(
    help: ArgumentHelp(
      "Put the store below DIR, which must not be there yet and is removed afterwards.",
      valueName: "DIR"))
  var store: String?
  @Option(help: ArgumentHelp("Connections at once.", valueName: "N"))
  var connections = 4
  @Option(help: ArgumentHelp("Rows of a batch.", valueName: "N"))
  var rows = 512
  @Option(help: ArgumentHelp("Numbers of a row, as float32.", valueName: "N"))
  var dimension = 512
  @Option(help: ArgumentHelp("Format of the bodies.", valueName: "FORMAT"))
  var format = BenchFormat.npz
  @Option(
    help: ArgumentHelp("How long to measure each of what is compared.", valueName: "S"))
  var seconds = 10.0
  @Option(help: ArgumentHelp("Collection to store in.", valueName: "NAME"))
  var collection = HTTPTarget.defaultCollection
  @Flag(help: "Send an Idempotency-Key with each batch.")
  var keys = false
  @Flag(help: "Compare with a bare server, in turn.")
  var floor = false
  @Option(help: ArgumentHelp("Store N rows before anything is measured.", valueName: "N"))
  var fillRows = 0
  @Flag(help: "Compare the time per batch at 2000000 stored rows with that at 10000, in turn.")
  var growth = false
  @Option(
    help: ArgumentHelp(
      "Measure how long a start takes with N sealed shards, and with an empty store, in turn.",
      valueName: "N"))
  var startup: Int?
  @Option(
    help: ArgumentHelp("Rows of one shard file of --startup, as for serve.", valueName: "SIZE"))
  var shardBytes = "1MiB"
  @Option(
    parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "A flag for the server that is started, such as --in-flight-bytes=64MiB; may be repeated.",
      valueName: "FLAG"))
  var serverFlag: [String] = []
  @Flag(help: "Print the figures as JSON.")
  var json = false

  func validate() throws { _ = try checkedSettings() }

  func run() throws {
    let settings = try checkedSettings()
    let report: any BenchReport
    do throws(BenchError) { report = try measure(settings) } catch {
      throw Failure(error.description, code: .couldNotRun)
    }
    try StandardOutput.write((json ? report.json() : report.text) + "\n")
    if !report.isComplete { throw ExitCode.failure }
  }

  private func measure(_ settings: BenchSettings) throws(BenchError) -> any BenchReport {
    let session = try BenchSession(folder: store)
    defer { session.end() }
    let progress = BenchProgress()
    if growth { return try GrowthMeasurement(settings, progress: progress).run(session) }
    if let startup {
      let measurement = StartupMeasurement(settings, shardCount: startup, progress: progress)
      return try measurement.run(session)
    }
    return try ThroughputMeasurement(settings, progress: progress).run(session)
  }
}
