// `ingot backup`: a consistent copy of a store, made by StoreBackup (IngestService). Exit codes: Ingot.swift.

import ArgumentParser
import Foundation
import IngestService
import SystemIO

struct BackupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup",
    abstract: "Copies a store, also while it is being served; renews the copy when run again.",
    discussion: """
      Takes no lock on the store and only reads it. The copy is a store of its own with the same UUID: every \
      row that was acknowledged before the backup began, bit for bit, and a prefix of the commits.

      A file is brought over in the cheapest way that works: by reflink (btrfs, XFS: a file of its own that \
      shares its blocks), by hard link (only shards that are sealed, which never change; on the same file \
      system), or by copying. A hard link costs nothing and shares its fate with the original: a bad sector \
      is in both. Give --no-hard-links, or a directory on another disk, for a copy that survives the disk.

      Run again with the same directory, it brings over what is new. A shard is replaced in one step, so that \
      the copy is a valid store at every instant, also after SIGINT, SIGKILL or a power cut; run it again to \
      complete it. The first copy has no store.json until it is whole. Shards that compaction replaced are \
      removed from the copy; shards that the store has lost are kept there and reported.

      Damage is not looked for: run `ingot verify --store COPY` afterwards. To restore, copy the directory \
      back and serve it. Never serve store and copy as one: both have the same identity.

      Exits with 0 when the copy is whole, 1 when something of the store was missing or damaged and could \
      not be copied (the rest was), 2 when it could not run, 3 when the copy is in use, 5 when the copy holds \
      batches that the store does not, 130 when it was interrupted.
      """)

  @Option(help: ArgumentHelp("The directory of the store; it may be in use.", valueName: "dir"))
  var store: String

  @Option(
    help: ArgumentHelp(
      "The directory of the copy: a new or empty one, or that of an earlier backup of this store.",
      valueName: "dir"))
  var to: String

  @Flag(inversion: .prefixedNo, help: "Sealed shards may be the same files in store and copy.")
  var hardLinks = true

  @Flag(help: "Prints one JSON object.")
  var json = false

  @Flag(help: "Prints a line every 10 seconds where standard error is no terminal.")
  var progress = false

  func run() throws {
    let began = MonotonicTime.now
    let stop = StopRequest()
    let bar = ProgressBar("ingot backup", isAsked: progress)
    let backup = StoreBackup(
      source: store, target: to, mayHardLink: hardLinks,
      progress: { bar.show(byteCount: $0, of: $1) }, isCancelled: { stop.isAsked })
    let summary: BackupSummary
    do throws(BackupProblem) { summary = try backup.run() } catch {
      bar.end()
      StandardError.write(line: "ingot backup: \(error)")
      throw error.exitCode
    }
    bar.end()
    for problem in summary.problems { StandardError.write(line: "ingot backup: \(problem)") }
    let report = BackupReport(summary, seconds: began.duration(to: .now).seconds)
    try StandardOutput.write(json ? report.json : report.text)
    if !summary.isWhole { throw ExitCode.damage }
  }
}

extension BackupProblem {
  fileprivate var exitCode: ExitCode {
    switch self {
    case .store(.inUse): .storeInUse
    case .targetDiffers: .conflict
    case .interrupted: .interrupted
    case .store, .refused, .disk, .keepsChanging: .couldNotRun
    }
  }
}

/// How a backup reads, for people and for programs.
private struct BackupReport {
  private let summary: BackupSummary
  private let seconds: Double

  init(_ summary: BackupSummary, seconds: Double) {
    self.summary = summary
    self.seconds = seconds
  }

  var text: String {
    let ways = BackupSummary.Way.allCases.compactMap { way -> String? in
      let byteCount = summary.byteCount(way)
      return byteCount > 0 ? "\((Double(byteCount) / 1e6).rounded(digits: 1)) MB \(way)" : nil
    }
    var lines = summary.notes.map { "note: \($0)" }
    lines.append(
      "\(summary.isWhole ? "complete" : "incomplete"): \(summary.rowCount) rows, "
        + "\(summary.shardCount) shards (\(summary.writtenShardCount) written, "
        + "\(summary.removedShardCount) removed); \(ways.joined(separator: ", ")) in "
        + "\(seconds.rounded(digits: 2)) s")
    return lines.map { $0 + "\n" }.joined()
  }

  private struct Document: Encodable {
    var status: String
    var collections: Int
    var shards: Int
    var rows: Int
    var writtenShards: Int
    var removedShards: Int
    var linkedBytes: Int
    var clonedBytes: Int
    var copiedBytes: Int
    var skippedBytes: Int
    var notes: [String]
    var problems: [String]
    var seconds: Double
  }

  var json: String {
    get throws {
      let document = Document(
        status: summary.isWhole ? "complete" : "incomplete", collections: summary.collectionCount,
        shards: summary.shardCount, rows: summary.rowCount,
        writtenShards: summary.writtenShardCount, removedShards: summary.removedShardCount,
        linkedBytes: summary.byteCount(.linked), clonedBytes: summary.byteCount(.cloned),
        copiedBytes: summary.byteCount(.copied), skippedBytes: summary.byteCount(.skipped),
        notes: summary.notes, problems: summary.problems, seconds: seconds)
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .convertToSnakeCase
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
    }
  }
}
