// `ingot verify`: prints what StoreVerifier (IngestService) finds. Exit codes: Ingot.swift.

import ArgumentParser
import Foundation
import IngestService
import SystemIO

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Reads everything of a store that is not in use, and names what is damaged.",
    discussion: """
      Changes nothing. Exits with 0 when the store is clean, 1 when something is damaged, 2 when there is \
      no store that can be read, 3 when the store is in use.
      """)

  @Option(help: ArgumentHelp("The directory of the store.", valueName: "dir"))
  var store: String

  @Flag(help: "Prints one JSON object with all ids.")
  var json = false

  @Flag(help: "Prints a line every 10 seconds where standard error is no terminal.")
  var progress = false

  func run() throws {
    let began = MonotonicTime.now
    let bar = ProgressBar("ingot verify", isAsked: progress)
    let verification: StoreVerification
    do throws(StoreProblem) {
      let lock = try StoreVerifier.lock(root: store)
      let verifier = StoreVerifier(root: store) { bar.show(byteCount: $0, of: $1) }
      verification = try verifier.verify()
      _ = consume lock
    } catch {
      bar.end()
      throw error.exit(printing: "ingot verify: ")
    }
    bar.end()
    let report = VerifyReport(verification, seconds: began.duration(to: .now).seconds)
    try StandardOutput.write(json ? report.json : report.text)
    if !verification.isClean { throw ExitCode.damage }
  }
}

extension StoreProblem {
  /// Says on standard error why a command could not run.
  func exit(printing prefix: String) -> ExitCode {
    StandardError.write(line: "\(prefix)\(self)")
    if case .inUse = self { return .storeInUse }
    return .couldNotRun
  }
}

/// How a verification reads, for people and for programs.
struct VerifyReport {
  private let verification: StoreVerification
  private let seconds: Double

  /// More ids of one entry are only counted in text.
  private static let idCountMax = 100

  init(_ verification: StoreVerification, seconds: Double) {
    self.verification = verification
    self.seconds = seconds
  }

  var text: String {
    var lines = verification.damage.flatMap(Self.lines)
    lines += verification.notes.map { "note: \($0)" }
    let rowCount = verification.damage.reduce(0) { $0 + $1.rows.count }
    let megabytes = Double(verification.byteCount) / 1e6
    let counts =
      "\(verification.rowCount) rows, \(verification.batchCount) batches, "
      + "\(verification.shardCount) shards, \(megabytes.rounded(digits: 1)) MB in "
      + "\(seconds.rounded(digits: 2)) s"
    lines.append(
      verification.isClean
        ? "clean: \(counts)"
        : "damaged: \(rowCount) rows in \(verification.damage.count) places, of \(counts)")
    return lines.map { $0 + "\n" }.joined()
  }

  private static func lines(_ damage: StoreDamage) -> [String] {
    var place = damage.collection.map { "collection \($0)" } ?? "store"
    if let shard = damage.shard {
      let digits = String(shard)
      place += ", shard " + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
    }
    if !damage.rows.isEmpty {
      place +=
        ", rows \(damage.rows.lowerBound)..<\(damage.rows.upperBound)"
        + " (\(damage.rows.count) rows)"
    }
    var lines = ["damaged: \(place): \(damage.reason)"]
    if !damage.ids.isEmpty {
      let more = damage.ids.count - idCountMax
      lines.append(
        "  ids: " + damage.ids.prefix(idCountMax).joined(separator: ", ")
          + (more > 0 ? " and \(more) more" : ""))
    }
    return lines
  }

  private struct Document: Encodable {
    var status: String
    var rows: Int
    var bytes: Int
    var shards: Int
    var batches: Int
    var damage: [Entry]
    var notes: [String]
    var seconds: Double
  }

  private struct Entry: Encodable {
    var collection: String?
    var shard: Int?
    var firstRow: Int
    var rows: Int
    var ids: [String]
    var reason: String

    enum CodingKeys: String, CodingKey {
      case collection, shard
      case firstRow = "first_row"
      case rows, ids, reason
    }

    /// Keys are there even when they have no value.
    func encode(to encoder: any Encoder) throws {
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(collection, forKey: .collection)
      try values.encode(shard, forKey: .shard)
      try values.encode(firstRow, forKey: .firstRow)
      try values.encode(rows, forKey: .rows)
      try values.encode(ids, forKey: .ids)
      try values.encode(reason, forKey: .reason)
    }
  }

  var json: String {
    get throws {
      let document = Document(
        status: verification.isClean ? "clean" : "damaged", rows: verification.rowCount,
        bytes: verification.byteCount, shards: verification.shardCount,
        batches: verification.batchCount,
        damage: verification.damage.map {
          Entry(
            collection: $0.collection, shard: $0.shard, firstRow: $0.rows.lowerBound,
            rows: $0.rows.count, ids: $0.ids, reason: $0.reason)
        },
        notes: verification.notes, seconds: seconds)
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
    }
  }
}

extension Double {
  /// With as many digits behind the point.
  func rounded(digits: Int) -> String { String(format: "%.\(digits)f", self) }
}
