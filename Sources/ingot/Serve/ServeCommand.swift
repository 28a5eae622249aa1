// `ingot serve`: opens a store and serves it until SIGTERM. The wiring of all layers is in Server.swift.

import ArgumentParser
import Foundation

struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serve a store over HTTP.",
    discussion: """
      Opens the store in DIR, creating it when the directory is empty or not there, and takes batches of embeddings \
      over HTTP/1.1. When it is ready it prints one line to standard output:

        ingot: serving DIR on http://HOST:PORT

      The log goes to standard error. On SIGTERM or SIGINT it takes no more requests, finishes those in flight, and exits.

      Each option can also be an environment variable (--shard-bytes is INGOT_SHARD_BYTES) or a line of the \
      configuration file ({"shard-bytes": "256MiB"}). A flag wins over the environment, the environment over the file, the \
      file over the default. Sizes are written as 1048576, 1MiB or 1.5GiB.

      EXIT CODES: 0 stopped after draining; 2 the store or the address cannot be used; 3 the store is in use by another \
      process; 64 a setting is wrong.

      EXAMPLE: ingot serve --store ./ingot-data --listen 127.0.0.1:8080
      """)

  @Option(help: ArgumentHelp("Directory of the store; required.", valueName: "DIR"))
  var store: String?
  @Option(
    help: ArgumentHelp(
      "Serve only the store with this UUID (store.json says it), and create none. Default: any.",
      valueName: "UUID"))
  var storeUuid: String?
  @Option(
    help: ArgumentHelp(
      "Address to listen on; port 0 takes a free one. Default 127.0.0.1:8080.",
      valueName: "HOST:PORT"))
  var listen: String?
  @Flag(help: "Allow an address that other machines can reach. There is no access control.")
  var insecureListen = false
  @Option(help: ArgumentHelp("JSON file with settings.", valueName: "FILE"))
  var config: String?
  @Option(
    help: ArgumentHelp(
      "trace, debug, info, notice, warning, error or critical. Default info.", valueName: "LEVEL"))
  var logLevel: String?
  @Option(help: ArgumentHelp("Rows of one shard file. Default 256MiB.", valueName: "SIZE"))
  var shardBytes: String?
  @Option(
    help: ArgumentHelp(
      "Free disk space below which batches are refused with 507. Default 512MiB.", valueName: "SIZE"
    ))
  var diskReserve: String?
  @Option(
    help: ArgumentHelp(
      "Bodies that may be received, decoded and committed at once. Default 128MiB.",
      valueName: "SIZE"))
  var inFlightBytes: String?
  @Option(help: ArgumentHelp("Largest request body. Default 64MiB.", valueName: "SIZE"))
  var maxBodyBytes: String?
  @Option(
    help: ArgumentHelp("What a body may become when inflated. Default 64MiB.", valueName: "SIZE"))
  var maxDecodedBytes: String?
  @Option(help: ArgumentHelp("Connections at once. Default 1024.", valueName: "N"))
  var maxConnections: String?
  @Option(help: ArgumentHelp("Request line and header fields. Default 16KiB.", valueName: "SIZE"))
  var maxHeadBytes: String?
  @Option(help: ArgumentHelp("Header fields of a request. Default 100.", valueName: "N"))
  var maxHeaderFields: String?
  @Option(help: ArgumentHelp("Time for a request head to arrive. Default 10.", valueName: "S"))
  var headSeconds: String?
  @Option(help: ArgumentHelp("Time without a byte of a body. Default 30.", valueName: "S"))
  var bodyIdleSeconds: String?
  @Option(help: ArgumentHelp("Time between requests of a connection. Default 75.", valueName: "S"))
  var keepAliveSeconds: String?
  @Option(help: ArgumentHelp("Time for requests in flight at a stop. Default 30.", valueName: "S"))
  var drainSeconds: String?
  @Option(
    help: ArgumentHelp(
      "Threads that serve sockets. Default one per core, 4 at most.", valueName: "N"))
  var ioThreads: String?
  @Option(
    help: ArgumentHelp(
      "Threads that decode text and large bodies. Default one per core, 4 at most.",
      valueName: "N"))
  var workerThreads: String?
  @Option(
    help: ArgumentHelp(
      "Bytes per second that are read and checked in the background. Default 32MiB.",
      valueName: "SIZE"))
  var scrubRate: String?
  @Option(
    help: ArgumentHelp(
      "Every byte is checked at least this often, faster than the rate where that is needed. Default 7.",
      valueName: "DAYS"))
  var scrubDays: String?
  @Option(
    help: ArgumentHelp(
      "Shards with at least this share of dead rows are written anew; 0 only on request. Default 30.",
      valueName: "PERCENT"))
  var compactPercent: String?
  @Option(
    help: ArgumentHelp(
      "Bytes per second that are written while dead rows are removed. Default 64MiB.",
      valueName: "SIZE"))
  var compactRate: String?

  func run() throws {
    let settings: ServeSettings
    do throws(SettingError) { settings = try checkedSettings() } catch {
      throw ValidationError(error.description)
    }
    try Server(settings).run()
  }

  private func checkedSettings() throws(SettingError) -> ServeSettings {
    let environment = ProcessInfo.processInfo.environment
    let reader = try SettingReader(
      flags: flags, environment: environment, file: config ?? environment["INGOT_CONFIG"])
    return try ServeSettings(reader)
  }

  private var flags: [SettingName: String] {
    let given: [(SettingName, String?)] = [
      (.store, store), (.storeUUID, storeUuid), (.listen, listen),
      (.insecureListen, insecureListen ? "true" : nil),
      (.logLevel, logLevel), (.shardBytes, shardBytes), (.diskReserve, diskReserve),
      (.inFlightBytes, inFlightBytes), (.maxBodyBytes, maxBodyBytes),
      (.maxDecodedBytes, maxDecodedBytes), (.maxConnections, maxConnections),
      (.maxHeadBytes, maxHeadBytes), (.maxHeaderFields, maxHeaderFields),
      (.headSeconds, headSeconds), (.bodyIdleSeconds, bodyIdleSeconds),
      (.keepAliveSeconds, keepAliveSeconds), (.drainSeconds, drainSeconds),
      (.ioThreads, ioThreads), (.workerThreads, workerThreads), (.scrubRate, scrubRate),
      (.scrubDays, scrubDays), (.compactPercent, compactPercent), (.compactRate, compactRate),
    ]
    return Dictionary(
      uniqueKeysWithValues: given.compactMap { name, text in text.map { (name, $0) } })
  }
}
