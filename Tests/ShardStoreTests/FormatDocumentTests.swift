// The tables of docs/shard-format.md against the constants of the program.

import Foundation
import Testing

@testable import ShardStore

@Suite struct FormatDocumentTests {
  struct Row: Equatable {
    let offset: Int
    let size: String
    let field: String
  }

  /// The rows of the first table behind a heading.
  private func table(_ heading: String) throws -> [Row] {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../docs/shard-format.md")
    let lines = try String(contentsOf: path, encoding: .utf8).split(
      separator: "\n", omittingEmptySubsequences: false)
    let start = try #require(lines.firstIndex { $0.drop(while: { $0 == "#" }) == " " + heading })
    return lines[start...].drop { !$0.hasPrefix("|") }.prefix { $0.hasPrefix("|") }
      .dropFirst(2).compactMap { line in
        let cells = line.split(separator: "|", omittingEmptySubsequences: false)
          .dropFirst().map { $0.trimmingCharacters(in: .whitespaces) }
        return Int(cells[0]).map { Row(offset: $0, size: cells[1], field: cells[2]) }
      }
  }

  private func compare(_ heading: String, _ constants: [(field: String, offset: Int)]) throws {
    let rows = try table(heading)

    #expect(rows.map(\.field) == constants.map(\.field))
    #expect(rows.map(\.offset) == constants.map(\.offset))
    for (row, next) in zip(rows, rows.dropFirst()) {
      #expect(row.offset + (Int(row.size) ?? -1) == next.offset, "\(row.field)")
    }
  }

  @Test func commitRecordIsAsDocumented() throws {
    typealias Layout = CommitRecord.Layout
    try compare(
      "Commit record",
      [
        ("magic", Layout.magic), ("version", Layout.version), ("kind", Layout.kind),
        ("recordByteCount", Layout.recordByteCount), ("storeUUID", Layout.storeUUID),
        ("collectionUUID", Layout.collectionUUID), ("shardNumber", Layout.shardNumber),
        ("previousCRC32C", Layout.previousCRC32C), ("sequence", Layout.sequence),
        ("firstRow", Layout.firstRow), ("rowCount", Layout.rowCount),
        ("durableRowCount", Layout.durableRowCount), ("committedAt", Layout.committedAt),
        ("contentDigest", Layout.contentDigest), ("bodySHA256", Layout.bodySHA256),
        ("rowsCRC32C", Layout.rowsCRC32C), ("batchIDByteCount", Layout.batchIDByteCount),
        ("flags", Layout.flags), ("payloadByteCount", Layout.payloadByteCount),
        ("recordCRC32C", Layout.recordCRC32C), ("batch id, payload, padding", Layout.batchID),
      ])
  }

  @Test func kindsAreAsDocumented() throws {
    let kinds = try table("Kinds")

    // Here the columns are the number and the name of a kind.
    #expect(kinds.map(\.offset) == (1...5).map { $0 })
    for kind in kinds {
      let known = try #require(CommitRecord.Kind(rawValue: UInt16(kind.offset)))
      #expect("\(known)" == kind.size)
    }
    #expect(CommitRecord.Kind(rawValue: UInt16(kinds.count + 1)) == nil)
  }

  @Test func originIsAsDocumented() throws {
    typealias Layout = CommitRecord.Origin.Layout
    try compare(
      "Origin",
      [
        ("shard", Layout.shard), ("rowsCRC32C", Layout.rowsCRC32C), ("firstRow", Layout.firstRow),
        ("rowCount", Layout.rowCount), ("ids", Layout.ids),
      ])
    #expect(IDIndexEntry.deletionBit == 1 << 31)
  }

  @Test func sealTableIsAsDocumented() throws {
    typealias Layout = SealTable.Layout
    try compare(
      "Seal table",
      [
        ("blockByteCount", Layout.blockByteCount), ("blockCount", Layout.blockCount),
        ("fileByteCount", Layout.fileByteCount), ("fileCRC32C", Layout.fileCRC32C),
        ("reserved", Layout.reserved), ("blockCRC32C", Layout.blockCRC32C),
      ])
    #expect(SealTable.blockByteCount == 65_536)
  }

  @Test func idIndexIsAsDocumented() throws {
    typealias Layout = SealedIDIndex.Layout
    try compare(
      "ids.index",
      [
        ("magic", Layout.magic), ("version", Layout.version), ("shardNumber", Layout.shardNumber),
        ("storeUUID", Layout.storeUUID), ("collectionUUID", Layout.collectionUUID),
        ("count", Layout.count), ("entriesCRC32C", Layout.entriesCRC32C),
        ("headerCRC32C", Layout.headerCRC32C), ("entries", Layout.entries),
      ])
    #expect(try table("ids.index").last?.size == "\(IDIndexEntry.byteCount) × count")
  }
}
