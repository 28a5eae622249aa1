// How a comparison reads, for people and for programs. Made by Reconciliation.swift.

import Foundation

struct ReconcileReport {
  private let command: ReconcileCommand
  var databaseCount = 0
  /// Answers that gave an id again.
  var repeatedCount = 0
  var matchedCount = 0
  var missingCount = 0
  /// Of the missing ones.
  var deletedCount = 0
  var quarantinedCount = 0
  var storeCount = 0
  var extraCount = 0
  private(set) var comparedCount = 0
  private(set) var misplacedCount = 0
  private var misplaced: [Misplaced] = []

  /// An id that is not where it was expected.
  private struct Misplaced: Encodable {
    let id: String
    let expected: Int
    let found: Int?
  }

  private static let shownCount = 10

  init(_ command: ReconcileCommand) { self.command = command }

  mutating func compare(_ id: String, expected: Int, found: Int?) {
    comparedCount += 1
    guard found != expected else { return }
    misplacedCount += 1
    if misplaced.count < Self.shownCount {
      misplaced.append(Misplaced(id: id, expected: expected, found: found))
    }
  }

  var isComplete: Bool { missingCount == 0 && quarantinedCount == 0 && misplacedCount == 0 }

  var text: String {
    var lines: [String] = []
    if command.query != nil {
      let repeated = repeatedCount > 0 ? " (\(repeatedCount) of them again)" : ""
      let deleted = deletedCount > 0 ? " (\(deletedCount) of them deleted)" : ""
      lines += [
        "in the database  \(databaseCount)\(repeated)", "in the store     \(storeCount)",
        "in both          \(matchedCount)", "missing          \(missingCount)\(deleted)",
        "quarantined      \(quarantinedCount)", "extra            \(extraCount)",
      ]
    }
    if command.map != nil {
      lines.append("positions        \(comparedCount) compared, \(misplacedCount) differ")
      lines += misplaced.map { one in
        "  \(one.id): expected row \(one.expected), "
          + (one.found.map { "found row \($0)" } ?? "not in the store")
      }
      if misplacedCount > misplaced.count {
        lines.append("  and \(misplacedCount - misplaced.count) more")
      }
    }
    for (count, what, path) in [
      (missingCount, "missing", command.missingTo), (extraCount, "extra", command.extraTo),
      (quarantinedCount, "quarantined", command.quarantinedTo),
    ] {
      if let path { lines.append("wrote \(count) \(what) ids to \(path)") }
    }
    return lines.map { $0 + "\n" }.joined()
  }

  private struct Document: Encodable {
    var complete: Bool
    var database: Int?
    var repeated: Int?
    var store: Int?
    var matched: Int?
    var missing: Int?
    var deleted: Int?
    var quarantined: Int?
    var extra: Int?
    var compared: Int?
    var misplaced: Int?
    var examples: [Misplaced]?
  }

  var json: String {
    get throws {
      var document = Document(complete: isComplete)
      if command.query != nil {
        (document.database, document.repeated) = (databaseCount, repeatedCount)
        (document.store, document.matched) = (storeCount, matchedCount)
        (document.missing, document.deleted) = (missingCount, deletedCount)
        (document.quarantined, document.extra) = (quarantinedCount, extraCount)
      }
      if command.map != nil {
        (document.compared, document.misplaced) = (comparedCount, misplacedCount)
        document.examples = misplaced
      }
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
    }
  }
}
