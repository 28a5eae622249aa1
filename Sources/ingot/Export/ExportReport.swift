// How an export reads when it is done, for people and for programs.

import Foundation
import IngestService
import SystemIO

struct ExportReport: Encodable {
  let collection: String
  /// `npy`, …, or `clip-retrieval`.
  let format: String
  /// Null for standard output.
  let out: String?
  var rows = 0
  /// Of the last commit that is in the export.
  var sequence = 0
  /// Live rows that are not in it.
  var damagedRows = 0
  /// Shards of which nothing is known but that they are there.
  var unusableShards = 0
  /// Of all files together.
  var bytes = 0
  /// Of the file; null for a folder.
  var crc32c: String?
  var ids: File?
  /// Of a folder.
  var files: [File] = []
  var linkedFiles = 0
  var seconds = 0.0

  struct File: Encodable {
    let path: String
    var rows: Int
    var bytes: Int
    var crc32c: String
    var isLinked = false

    enum CodingKeys: String, CodingKey {
      case path, rows, bytes, crc32c
      case isLinked = "linked"
    }
  }

  enum CodingKeys: String, CodingKey {
    case collection, format, out, rows, sequence, bytes, crc32c, ids, files, seconds
    case damagedRows = "damaged_rows"
    case unusableShards = "unusable_shards"
    case linkedFiles = "linked_files"
  }

  init(_ settings: ExportSettings) {
    collection = settings.collection
    out = settings.out
    switch settings.form {
    case .file(let format): self.format = format.rawValue
    case .clipRetrieval: format = "clip-retrieval"
    }
  }

  var isIncomplete: Bool { damagedRows > 0 || unusableShards > 0 }

  var warnings: [String] {
    var lines: [String] = []
    if damagedRows > 0 {
      lines.append(
        "\(damagedRows) rows are damaged or lost and were left out; which of your ids they are, POST "
          + "/v1/collections/\(collection)/missing tells, and ingot verify names them")
    }
    if unusableShards > 0 {
      lines.append(
        "\(unusableShards) shards cannot be opened and were left out; GET /integrity and ingot verify "
          + "name them")
    }
    return lines
  }

  /// Keys are there even when they have no value.
  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(collection, forKey: .collection)
    try values.encode(format, forKey: .format)
    try values.encode(out, forKey: .out)
    try values.encode(rows, forKey: .rows)
    try values.encode(sequence, forKey: .sequence)
    try values.encode(damagedRows, forKey: .damagedRows)
    try values.encode(unusableShards, forKey: .unusableShards)
    try values.encode(bytes, forKey: .bytes)
    try values.encode(crc32c, forKey: .crc32c)
    try values.encode(ids, forKey: .ids)
    try values.encode(files, forKey: .files)
    try values.encode(linkedFiles, forKey: .linkedFiles)
    try values.encode(seconds, forKey: .seconds)
  }

  var json: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }
  }

  var text: String {
    let size = "\((Double(bytes) / 1e6).rounded(digits: 1)) MB"
    let place = out.map { " to \($0)" } ?? ""
    var line = "exported: \(rows) rows of collection \(collection)\(place), \(format), \(size)"
    if let crc32c { line += ", CRC32C \(crc32c)" }
    if format == "clip-retrieval" {
      line += ", \(files.count) files, of which \(linkedFiles) are links into the store"
    }
    line += ", up to commit \(sequence), \(seconds.rounded(digits: 2)) s\n"
    if let ids { line += "ids: \(ids.path), CRC32C \(ids.crc32c)\n" }
    return line
  }
}
