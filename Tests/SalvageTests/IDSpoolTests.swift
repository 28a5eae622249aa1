// Ids of rows: read as lines, checked, kept, and brought together with rows.

import Foundation
import ShardStore
import SystemIO
import Testing

@testable import Salvage

@Suite struct IDSpoolTests {
  private func spool(_ ids: [(Int, String)]) throws -> IDSpool {
    var spool = IDSpool(inDirectory: NSTemporaryDirectory())
    for (row, id) in ids { try Array(id.utf8).withUnsafeBytes { try spool.append($0, row: row) } }
    return spool
  }

  private func problem(_ ids: [(Int, String)]) -> IDSpoolProblem? {
    do { _ = try spool(ids) } catch { return error as? IDSpoolProblem }
    return nil
  }

  private func all(_ spool: IDSpool) throws -> [String] {
    var spool = spool
    var reader = try spool.reader()
    var found: [String] = []
    while let (row, id) = try reader.next() {
      found.append("\(row) \(String(decoding: id, as: UTF8.self))")
    }
    return found
  }

  @Test func givesBackWhatWasAddedBeyondItsMemory() throws {
    // Some 8 MB, of which 4 MiB are kept in memory.
    let ids = (0..<20_000).map { ($0 * 3, "\($0)-" + String(repeating: "x", count: $0 % 500)) }
    #expect(try all(spool(ids)) == ids.map { "\($0.0) \($0.1)" })
    #expect(try all(spool([])) == [])
  }

  @Test func namesWhatIsWrongWithAnID() {
    #expect(problem([(0, "a"), (1, "b"), (2, "a")]) == .duplicate(firstEntry: 1, id: "a"))
    #expect(problem([(0, "")]) == .flaw(.empty))
    #expect(problem([(0, String(repeating: "x", count: 513))]) == .flaw(.tooLong(byteCount: 513)))
    #expect(problem([(0, "a\nb")]) == .flaw(.lineBreak))
    #expect(problem([(4, "a"), (3, "b")]) == .outOfOrder(row: 3, previousRow: 4))
    #expect(problem([(4, "a"), (4, "b")]) == .outOfOrder(row: 4, previousRow: 4))
    #expect(problem([(0, String(repeating: "é", count: 256)), (7, "b")]) == nil)
    let broken: [UInt8] = [0x61, 0xC3]
    #expect(broken.withUnsafeBytes { IDFlaw($0) } == .notUTF8)
  }

  @Test func findsEveryDuplicateAmongMany() {
    var hashes = IDHashes()
    func insert(_ number: Int) -> Bool {
      "id-\(number)".utf8.withContiguousStorageIfAvailable {
        hashes.insert(UnsafeRawBufferPointer($0))
      } ?? false
    }
    #expect((0..<50_000).allSatisfy { insert($0) })
    #expect(!(0..<50_000).contains { insert($0) })
    #expect(hashes.count == 50_000)
  }

  @Test(arguments: [
    ("", []), ("a", ["a"]), ("a\n", ["a"]), ("a\r\nb\r\n", ["a", "b"]), ("\n\na", ["", "", "a"]),
    ("\u{FEFF}a\n\u{FEFF}b", ["a", "\u{FEFF}b"]), ("\u{FEFF}", []),
  ])
  func splitsLines(text: String, lines: [String]) throws {
    #expect(try self.lines(Array(text.utf8)) == lines)
  }

  @Test func splitsLinesAcrossPieces() throws {
    let lines = (0..<40_000).map { "line \($0)" + String(repeating: "y", count: $0 % 37) }
    #expect(try self.lines(Array(lines.joined(separator: "\n").utf8)) == lines)
    let endless = [UInt8](repeating: 0x61, count: 1 << 20)
    #expect(try self.lines(endless).allSatisfy { $0.utf8.count > 512 })
  }

  private func lines(_ bytes: [UInt8]) throws -> [String] {
    let file = try BrokenFile(bytes)
    var reader = try IDLines(file.path)
    var lines: [String] = []
    while let line = try reader.next() { lines.append(String(decoding: line, as: UTF8.self)) }
    return lines
  }

  @Test func bringsRowsAndIDsTogether() throws {
    var rows = BrokenFile.rows(0..<6)
    rows.replaceSubrange(16..<20, with: BrokenFile.bytes(.nan))
    let source = try BrokenFile(claiming: 8, rows).source()
    var ids = try spool([(0, "a"), (1, "b"), (3, "d"), (5, "f"), (7, "h"), (9, "j")])
    var naming = try RowNaming(ids.reader())
    let pool = RowBufferPool(bufferCount: 2, byteCount: 4 * BrokenFile.rowStride)
    var reader = SalvageReader(source, rowsPerPiece: 4, pool: pool)
    var (kept, lost, bytes): ([String], [String], [UInt8]) = ([], [], [])

    while let piece = reader.next() {
      let named = try naming.name(piece) { lost.append(String(decoding: $0, as: UTF8.self)) }
      let list = try #require(named.ids)
      kept += (0..<list.count).map { list.string($0) }
      bytes += named.bytes
    }
    try naming.finish { lost.append(String(decoding: $0, as: UTF8.self)) }

    #expect(kept == ["a", "d", "f"] && lost == ["b", "h", "j"])
    #expect(bytes == [0, 3, 5].flatMap { BrokenFile.rows($0..<($0 + 1)) })
    #expect(naming.namelessRowCount == 2 && naming.lostIDCount == 3)
  }
}
