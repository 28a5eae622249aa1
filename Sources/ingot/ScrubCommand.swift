// `ingot scrub`: has a running server read and check everything now, and shows how far it is. The server's side:
// IngestAPI/Endpoints/Scrubs.swift.

import ArgumentParser
import Foundation
import SystemIO

struct ScrubCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scrub",
    abstract: "Have a running server check everything that it stores, now.",
    discussion: """
      Starts a scrub and waits for its end. A server scrubs by itself all the time, slowly; this is for when the disk \
      is in doubt. Damage is taken out of service as it is found, and GET /integrity names its rows and ids. A store that \
      is not being served is checked by ingot verify.

      On a terminal a bar shows how far it is, elsewhere a line every 10 seconds. Ctrl-C stops the scrub.

      EXIT CODES: 0 everything that was read is right; 1 damage was found; 2 the server cannot be used, or somebody else \
      stopped the scrub; 64 an option is wrong; 130 it was stopped by Ctrl-C.

      EXAMPLES:
        ingot scrub --url http://127.0.0.1:8080
        ingot scrub --url http://127.0.0.1:8080 --collection clip --shard 17 --rate 64MiB
      """)

  @Option(
    help: ArgumentHelp("A running server, such as http://127.0.0.1:8080.", valueName: "URL"))
  var url: String
  @Option(help: ArgumentHelp("Only this collection.", valueName: "NAME"))
  var collection: String?
  @Option(help: ArgumentHelp("Only this shard of the collection.", valueName: "N"))
  var shard: Int?
  @Option(
    help: ArgumentHelp(
      "Bytes per second, such as 64MiB, or max for as fast as the disk.", valueName: "RATE"))
  var rate = "max"
  @Flag(help: "Start the scrub and do not wait for its end.")
  var detach = false
  @Flag(help: "Print what the server says of the scrub as one JSON object.")
  var json = false

  func validate() throws {
    _ = try ServerAddress(option: url)
    _ = try bytesPerSecond()
    guard shard == nil || collection != nil else {
      throw ValidationError("--shard needs the --collection that it is of")
    }
  }

  func run() throws {
    let address = try ServerAddress(option: url)
    let client = ServerClient(address, policy: RetryPolicy(patience: Self.patience)) {
      StandardError.write(line: "ingot scrub: \($0)")
    }
    // Before the scrub is started, so that Ctrl-C never leaves one behind.
    let signals = StopSignals()
    let outcome: Outcome
    do throws(ClientError) {
      let started = try client.document(
        "POST", "/v1/scrubs", json: try request(), as: ScrubReport.self)
      outcome = detach ? .detached(started) : try watch(started, client, signals)
    } catch {
      throw Failure("\(error)", code: .couldNotRun)
    }
    try show(outcome)
  }

  private enum Outcome {
    case detached(ScrubReport)
    case ended(ScrubReport)
    /// By a signal that this command got.
    case interrupted(ScrubReport)
  }

  /// How long an answer is waited for in spite of failures.
  private static let patience = Duration.seconds(10)
  private static let interval = Duration.milliseconds(500)

  private func watch(
    _ started: ScrubReport, _ client: ServerClient, _ signals: StopSignals
  ) throws(ClientError) -> Outcome {
    let bar = ProgressBar("ingot scrub", isAsked: true)
    defer { bar.end() }
    let path = "/v1/scrubs/\(started.number)"
    var report = started
    if let number = report.waitsFor {
      StandardError.write(line: "ingot scrub: scrub \(report.number) waits for scrub \(number)")
    }
    while ["waiting", "running"].contains(report.state) {
      if signals.wait(for: Self.interval) != nil {
        return .interrupted(
          try client.document("DELETE", path, json: nil, as: ScrubReport.self))
      }
      report = try client.get(path, as: ScrubReport.self)
      bar.show(byteCount: report.checkedBytes, of: report.totalBytes)
    }
    return .ended(report)
  }

  private func show(_ outcome: Outcome) throws {
    switch outcome {
    case .detached(let report):
      try StandardOutput.write(json ? report.json : report.beginning)
    case .interrupted(let report):
      try StandardOutput.write(json ? report.json : report.text)
      throw ExitCode.interrupted
    case .ended(let report):
      try StandardOutput.write(json ? report.json : report.text)
      if report.hasDamage { throw ExitCode.damage }
      if report.state != "done" { throw ExitCode.couldNotRun }
    }
  }

  private func bytesPerSecond() throws(ValidationError) -> Int? {
    if rate == "max" { return nil }
    guard let value = ByteCountText.parse(rate), value > 0 else {
      throw ValidationError("--rate takes max or a size such as 64MiB, not '\(rate)'")
    }
    return value
  }

  private struct Request: Encodable {
    let rate: Rate
    let collection: String?
    let shard: Int?
  }

  private func request() throws(ClientError) -> String {
    do {
      let rate = try bytesPerSecond().map { Rate.bytesPerSecond($0) }
      let request = Request(rate: rate ?? .max, collection: collection, shard: shard)
      return String(decoding: try JSONEncoder().encode(request), as: UTF8.self)
    } catch {
      throw .notUnderstood("\(error)")
    }
  }
}

/// As JSON a number, or the word `max`.
private enum Rate: Codable {
  case max
  case bytesPerSecond(Int)

  init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    self = (try? value.decode(Int.self)).map { .bytesPerSecond($0) } ?? .max
  }

  func encode(to encoder: any Encoder) throws {
    var value = encoder.singleValueContainer()
    switch self {
    case .max: try value.encode("max")
    case .bytesPerSecond(let number): try value.encode(number)
    }
  }
}

/// What a server says of a scrub.
private struct ScrubReport: Codable {
  let number: Int
  /// `waiting`, `running`, `done` or `stopped`.
  let state: String
  /// The number of the scrub that is to end first.
  let waitsFor: Int?
  let collection: String?
  let shard: Int?
  let rate: Rate
  let checkedBytes: Int
  let totalBytes: Int
  let percent: Double
  let remainingSeconds: Double?
  let damagedRows: Int
  let damagedShards: Int
  /// What could not be read at all.
  let problems: [String]
  let startedAt: String
  let endedAt: String?

  enum CodingKeys: String, CodingKey {
    case number, state, collection, shard, rate, percent, problems
    case waitsFor = "waits_for"
    case remainingSeconds = "remaining_seconds"
    case checkedBytes = "checked_bytes"
    case totalBytes = "total_bytes"
    case damagedRows = "damaged_rows"
    case damagedShards = "damaged_shards"
    case startedAt = "started_at"
    case endedAt = "ended_at"
  }

  var beginning: String {
    let after = waitsFor.map { "waits for scrub \($0)" } ?? "has started"
    return "scrub \(number) \(after)\n"
  }

  var hasDamage: Bool { damagedRows > 0 || damagedShards > 0 || !problems.isEmpty }

  var text: String {
    let bytes = "\(checkedBytes) of \(totalBytes) bytes checked"
    let found =
      hasDamage
      ? "damaged: \(damagedRows) rows in \(damagedShards) shards; GET /integrity names them"
      : state == "done" ? "clean" : "nothing damaged so far"
    let summary = "\(state == "done" ? "" : "\(state): ")\(found); \(bytes)\n"
    return problems.map { "not readable: \($0)\n" }.joined() + summary
  }

  var json: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys]
      return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }
  }
}
