// What was found damaged, when, where and how: note.json beside the damaged original. Format: docs/shard-format.md
// "quarantine". Written and read by Quarantine.swift.

internal import Foundation
internal import ShardStore
internal import SystemIO

/// One finding: the damage of one shard.
struct QuarantineNote: Codable {
  struct Rows: Codable {
    var firstRow: Int
    var rows: Int
    var reason: String
    /// As far as the log or the catalog knows them.
    var ids: [String]

    enum CodingKeys: String, CodingKey {
      case firstRow = "first_row"
      case rows, reason, ids
    }

    var damage: Damage? {
      guard firstRow >= 0, rows >= 0, firstRow <= 1 << 40, rows <= 1 << 40 else { return nil }
      return Damage(rows: firstRow..<(firstRow + rows), reason: reason)
    }
  }

  var format = 1
  var collection: String
  var collectionUUID: String
  var shard: Int
  /// CRC32C of the shard's first record, eight digits: a shard that replaces this one has another.
  var firstRecordCRC32C: String
  var foundAt: String
  /// `start`, `read` or `scrub`.
  var foundBy: String
  var damage: [Rows]
  /// Names of the files that lie beside this note as they were found.
  var kept: [String]
  /// Why files were not kept.
  var notKept: String?

  enum CodingKeys: String, CodingKey {
    case format, collection
    case collectionUUID = "collection_uuid"
    case shard
    case firstRecordCRC32C = "first_record_crc32c"
    case foundAt = "found_at"
    case foundBy = "found_by"
    case damage, kept
    case notKept = "not_kept"
  }

  var encoded: [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return ((try? encoder.encode(self)).map { [UInt8]($0) } ?? []) + [0x0A]
  }

  /// - Returns: nil for anything that is not a note.
  static func read(_ path: String, disk: any Disk) -> QuarantineNote? {
    guard let file = try? disk.openFile(path, for: .read),
      let byteCount = try? file.byteCount(), byteCount <= 1 << 30,
      let bytes = try? file.read(offset: 0, byteCount: byteCount),
      let note = try? JSONDecoder().decode(QuarantineNote.self, from: Data(bytes)),
      note.format == 1
    else { return nil }
    return note
  }
}
