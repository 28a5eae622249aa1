// The catalog as the follower and the receipts use it, on real files.

import Catalog
import Foundation
import Testing

final class CatalogFile: Sendable {
  let path = NSTemporaryDirectory() + "ingot-catalog-test-" + UUID().uuidString

  deinit {
    for suffix in ["", "-wal", "-shm"] {
      try? FileManager.default.removeItem(atPath: path + suffix)
    }
  }

  /// Batch n of collection "c", in shard n / 10.
  static func batch(_ sequence: Int, id: String? = nil) -> CatalogBatch {
    CatalogBatch(
      sequence: sequence, kind: .batch, batchID: id ?? "batch-\(sequence)", shard: sequence / 10,
      firstRow: sequence % 10, rowCount: 1, rowsCRC32C: .max - UInt32(sequence),
      contentDigest: [UInt8](repeating: UInt8(sequence), count: 16),
      bodySHA256: sequence % 2 == 0 ? nil : [UInt8](repeating: 7, count: 32),
      committedAt: 1_700_000_000_000_000_000 + Int64(sequence), ids: [1, 0, 0x61])
  }

  static func page(
    _ sequences: ClosedRange<Int>, shard: Int = 0, collection: String = "c", logOffset: Int = 100
  ) -> Catalog.Page {
    Catalog.Page(
      collection: collection, shard: shard, batches: sequences.map { batch($0) },
      position: Catalog.Position(
        logOffset: logOffset, rowCount: sequences.upperBound, firstRecordCRC32C: 3))
  }

  /// Runs SQL from outside of the program.
  func sqlite(_ sql: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "-c", Self.script, path, sql]
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
  }

  private static let script = """
    import sqlite3, sys
    connection = sqlite3.connect(sys.argv[1])
    connection.executescript(sys.argv[2])
    connection.commit()
    connection.close()
    """
}

@Suite struct CatalogTests {
  private let file = CatalogFile()

  private func sequences(
    _ catalog: Catalog, prefix: String = "", descending: Bool = false, after: Int? = nil,
    limit: Int = 100
  ) throws -> [Int] {
    try catalog.batches(
      collection: "c", prefix: prefix, descending: descending, after: after, limit: limit
    ).map(\.sequence)
  }

  @Test func givesBackWhatItWasTold() throws {
    let catalog = try Catalog(path: file.path)

    try catalog.apply([CatalogFile.page(1...3), CatalogFile.page(4...4, shard: 1, logOffset: 7)])

    #expect(try catalog.batch(collection: "c", id: "batch-3") == CatalogFile.batch(3))
    #expect(try catalog.batch(collection: "c", id: "batch-2")?.bodySHA256 == nil)
    #expect(try catalog.batch(collection: "c", id: "batch-9") == nil)
    #expect(try catalog.batch(collection: "d", id: "batch-3") == nil)
    #expect(try catalog.lastSequence(collection: "c") == 4)
    #expect(try catalog.lastSequence(collection: "d") == nil)
    #expect(
      try catalog.positions(collection: "c") == [
        0: Catalog.Position(logOffset: 100, rowCount: 3, firstRecordCRC32C: 3),
        1: Catalog.Position(logOffset: 7, rowCount: 4, firstRecordCRC32C: 3),
      ])
  }

  @Test func staysTheSameWhenALogIsReadTwice() throws {
    let catalog = try Catalog(path: file.path)
    try catalog.apply([CatalogFile.page(1...3)])

    try catalog.apply([CatalogFile.page(1...3)])
    try catalog.apply([CatalogFile.page(2...4)])

    #expect(try sequences(catalog) == [1, 2, 3, 4])
    #expect(try catalog.batch(collection: "c", id: "batch-2") == CatalogFile.batch(2))
  }

  @Test func listsInOrderFromBehindASequenceUpToALimit() throws {
    let catalog = try Catalog(path: file.path)
    try catalog.apply([CatalogFile.page(1...9), CatalogFile.page(1...2, collection: "d")])

    #expect(try sequences(catalog, limit: 3) == [1, 2, 3])
    #expect(try sequences(catalog, after: 3, limit: 2) == [4, 5])
    #expect(try sequences(catalog, descending: true, limit: 2) == [9, 8])
    #expect(try sequences(catalog, descending: true, after: 3) == [2, 1])
    #expect(try sequences(catalog, after: 9) == [])
    #expect(try sequences(catalog, limit: 0) == [])
  }

  @Test func listsAPrefixAndNothingThatOnlyLooksLikeIt() throws {
    let catalog = try Catalog(path: file.path)
    let ids = ["a", "a.1", "a.2", "a_1", "a%", "A.1", "b", "a~", "a.", "aa"]
    try catalog.apply([
      Catalog.Page(
        collection: "c", shard: 0,
        batches: ids.enumerated().map { CatalogFile.batch($0 + 1, id: $1) },
        position: Catalog.Position(logOffset: 1, rowCount: 10, firstRecordCRC32C: 3))
    ])
    func found(_ prefix: String) throws -> [String] {
      try catalog.batches(
        collection: "c", prefix: prefix, descending: false, after: nil, limit: 100
      ).map(\.batchID)
    }

    #expect(try found("a.") == ["a.1", "a.2", "a."])
    #expect(try found("a_") == ["a_1"])
    #expect(try found("a") == ids.filter { $0.hasPrefix("a") })
    #expect(try found("a.1") == ["a.1"])
    #expect(try found("c") == [])
    #expect(try found("").count == ids.count)
  }

  @Test func forgetsOneShard() throws {
    let catalog = try Catalog(path: file.path)
    try catalog.apply([CatalogFile.page(1...9), CatalogFile.page(10...12, shard: 1)])

    try catalog.forget(collection: "c", shards: [1])

    #expect(try sequences(catalog) == Array(1...9))
    #expect(try catalog.positions(collection: "c").keys.sorted() == [0])
  }

  @Test func keepsItsContentWhenItIsOpenedAgain() throws {
    try Catalog(path: file.path).apply([CatalogFile.page(1...3)])

    let again = try Catalog(path: file.path)

    #expect(try sequences(again) == [1, 2, 3])
  }

  @Test func refusesANewerSchema() throws {
    do { try Catalog(path: file.path).checkpoint() }
    try file.sqlite("PRAGMA user_version = 3")

    #expect(throws: CatalogError.self) { _ = try Catalog(path: file.path) }
    #expect(throws: CatalogError.self) { _ = try CatalogSnapshot(path: file.path) }
  }

  @Test func refusesGarbage() throws {
    try Data("this is no database".utf8).write(to: URL(fileURLWithPath: file.path))

    #expect(throws: (any Error).self) { _ = try Catalog(path: file.path) }
    #expect(throws: (any Error).self) { _ = try CatalogSnapshot(path: file.path) }
  }

  /// A damaged page can hold anything. Counts become ranges, so they are checked; the rest is compared.
  @Test(arguments: ["sequence", "shard", "first_row", "row_count"], [-1, 1 << 49])
  func refusesACountThatIsOutOfRange(column: String, value: Int) throws {
    let catalog = try damaged("\(column) = \(value)")

    #expect(throws: CatalogError.self) { try catalog.batch(collection: "c", id: "batch-1") }
  }

  @Test(arguments: ["first_row = 'text'", "content_digest = 1.5", "batch_id = x'ff'", "ids = 3"])
  func survivesAValueOfAnotherType(change: String) throws {
    let catalog = try damaged(change)

    #expect((try? catalog.batch(collection: "c", id: "batch-1")) != CatalogFile.batch(1))
  }

  private func damaged(_ change: String) throws -> Catalog {
    do {
      let catalog = try Catalog(path: file.path)
      try catalog.apply([CatalogFile.page(1...1)])
      try catalog.checkpoint()
    }
    try file.sqlite("UPDATE batches SET \(change)")
    return try Catalog(path: file.path)
  }
}

@Suite struct CatalogSnapshotTests {
  private let file = CatalogFile()

  @Test func readsACatalogThatIsNotInUseAndLeavesNothingBehind() throws {
    do {
      let catalog = try Catalog(path: file.path)
      try catalog.apply([CatalogFile.page(1...5), CatalogFile.page(1...1, collection: "d")])
      try catalog.checkpoint()
    }
    let directory = (file.path as NSString).deletingLastPathComponent
    let name = (file.path as NSString).lastPathComponent

    let snapshot = try CatalogSnapshot(path: file.path)

    #expect(try snapshot.problem() == nil)
    #expect(try snapshot.collections() == ["c", "d"])
    #expect(try snapshot.positions(collection: "c")[0]?.rowCount == 5)
    let page = try snapshot.batches(collection: "c", after: 2, limit: 2)
    #expect(page == [CatalogFile.batch(3), CatalogFile.batch(4)])
    let beside = try FileManager.default.contentsOfDirectory(atPath: directory)
      .filter { $0.hasPrefix(name) }
    #expect(beside == [name])
  }

  @Test func readsWhatIsStillInTheWriteAheadLog() throws {
    let catalog = try Catalog(path: file.path)
    try catalog.apply([CatalogFile.page(1...5)])

    let snapshot = try CatalogSnapshot(path: file.path)

    let page = try snapshot.batches(collection: "c", after: 0, limit: 9)
    #expect(page.map(\.sequence) == [1, 2, 3, 4, 5])
    withExtendedLifetime(catalog) {}
  }
}
