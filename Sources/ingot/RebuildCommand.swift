// `ingot rebuild`: prints what StoreRebuilder (IngestService) made again. Exit codes: Ingot.swift.

import ArgumentParser
import Foundation
import IngestService
import Logging
import SystemIO

struct RebuildCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rebuild",
    abstract: "Makes again what follows from something else: catalog, indexes, headers, lost logs.",
    discussion: """
      The catalog is made from the logs of all shards; the old one is kept beside it, and what only it knows of shards \
      that are lost is taken over. An ids.index that is missing or damaged is made from its log, the header of a sealed \
      embeddings.npy from its log, and a lost commits.log of a shard from the catalog. What is replaced is kept in \
      quarantine/; nothing is edited in place. A server does the same for catalog and indexes when it starts.

      Exits with 0 when everything is whole, 1 when something could not be made again, 2 when there is no store that can \
      be read, 3 when the store is in use.

      EXAMPLE: ingot rebuild --store ./ingot-data
      """)

  @Option(help: ArgumentHelp("The directory of the store.", valueName: "dir"))
  var store: String

  @Flag(help: "Prints one JSON object.")
  var json = false

  func run() throws {
    let began = MonotonicTime.now
    var logger = Logger(label: "ingot") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .error
    let report: RebuildReport
    do throws(StoreProblem) {
      let lock = try StoreVerifier.lock(root: store)
      var rebuilder = StoreRebuilder(root: store, logger: logger)
      report = try rebuilder.rebuild(lock: lock)
    } catch {
      throw error.exit(printing: "ingot rebuild: ")
    }
    let seconds = began.duration(to: .now).seconds
    try StandardOutput.write(
      (json ? Self.json(report, seconds: seconds) : Self.text(report, seconds: seconds)) + "\n")
    if !report.failures.isEmpty { throw ExitCode.damage }
  }

  private static func text(_ report: RebuildReport, seconds: Double) -> String {
    var lines = report.repairs.map { "made again: \($0)" }
    lines += report.failures.map { "not made again: \($0)" }
    if let kept = report.keptCatalog { lines.append("the old catalog is \(kept)") }
    lines.append(
      "catalog: \(report.rowCount) rows, \(report.batchCount) batches, \(report.shardCount) shards "
        + "in \(seconds.rounded(digits: 2)) s")
    return lines.joined(separator: "\n")
  }

  private struct Document: Encodable {
    var rows: Int
    var batches: Int
    var shards: Int
    var repairs: [String]
    var failures: [String]
    var keptCatalog: String?
    var seconds: Double

    enum CodingKeys: String, CodingKey {
      case rows, batches, shards, repairs, failures
      case keptCatalog = "kept_catalog"
      case seconds
    }
  }

  private static func json(_ report: RebuildReport, seconds: Double) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let document = Document(
      rows: report.rowCount, batches: report.batchCount, shards: report.shardCount,
      repairs: report.repairs, failures: report.failures, keptCatalog: report.keptCatalog,
      seconds: seconds)
    return String(decoding: try encoder.encode(document), as: UTF8.self)
  }
}
