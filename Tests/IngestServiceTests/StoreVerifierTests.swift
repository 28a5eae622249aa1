// Promises P4, P5 and P7 seen from outside: what `ingot verify` finds in a store that is not in use.

import Foundation
import Glibc
import IngestService
import ShardStore
import SystemIO
import Testing

@Suite struct StoreVerifierTests {
  @Test func findsNothingInACleanStore() throws {
    let (store, receipts) = try RealStore.with([2, 2, 3, 4, 1])

    let found = try store.verify()

    #expect(found.damage == [])
    #expect(found.notes == [])
    #expect(found.rowCount == 12 && found.batchCount == receipts.count)
    #expect(found.shardCount == receipts.last!.shard + 1)
  }

  @Test(arguments: [0, 2, 4])
  func namesTheRowsAndIDsOfADamagedRow(number: Int) throws {
    let (store, receipts) = try RealStore.with([2, 2, 3, 4, 1])
    try store.damage(receipts[number], row: 0)

    let found = try store.verify()

    #expect(found.damage.count == 1)
    #expect(found.damage.first?.collection == "c")
    #expect(found.damage.first?.shard == receipts[number].shard)
    #expect(found.damage.first?.rows == receipts[number].rows)
    #expect(found.damage.first?.ids.first == "\(number)-0")
  }

  @Test func takesTheIDsOfADamagedRecordFromTheCatalog() throws {
    let (store, receipts) = try RealStore.with([2, 2, 3])
    try store.flipBit(at: 90, of: store.collection.shard(0).log)

    let found = try store.verify()

    #expect(found.damage.map(\.rows) == [receipts[0].rows])
    #expect(found.damage.map(\.ids) == [["0-0", "0-1"]])
  }

  @Test(arguments: [0, 1, 2])
  func namesAMissingShardWithItsIDs(number: Int) throws {
    let (store, receipts) = try RealStore.with([4, 4, 4])
    #expect(receipts.map(\.shard) == [0, 1, 2])
    try FileManager.default.removeItem(atPath: store.collection.shard(number).root)

    let found = try store.verify()

    #expect(found.damage.count == 1)
    #expect(found.damage.first?.shard == number)
    #expect(found.damage.first?.rows == 0..<4)
    #expect(found.damage.first?.ids == (0..<4).map { "\(number)-\($0)" })
  }

  @Test func namesAMissingShardWithoutACatalog() throws {
    let (store, _) = try RealStore.with([4, 4, 4])
    try FileManager.default.removeItem(atPath: store.layout.catalogFile)
    try FileManager.default.removeItem(atPath: store.collection.shard(1).root)

    let found = try store.verify()

    #expect(found.damage.map(\.shard) == [1])
    #expect(found.damage.first?.reason == "the shard is missing")
  }

  @Test func reportsShardsThatChangedPlaces() throws {
    let (store, _) = try RealStore.with([4, 4, 4])
    let manager = FileManager.default
    let (first, second) = (store.collection.shard(0).root, store.collection.shard(1).root)
    try manager.moveItem(atPath: first, toPath: store.root + "/aside")
    try manager.moveItem(atPath: second, toPath: first)
    try manager.moveItem(atPath: store.root + "/aside", toPath: second)

    let found = try store.verify()

    #expect(Set(found.damage.compactMap(\.shard)) == [0, 1])
    #expect(Set(found.damage.flatMap(\.ids)).count == 8)
  }

  @Test func reportsBatchesThatAShardLostAtItsEnd() throws {
    let (store, receipts) = try RealStore.with([2, 1])
    #expect(receipts.map(\.shard) == [0, 0])
    // Cut behind the first batch, header and all: only the catalog knows of the second.
    let layout = store.collection.shard(0)
    let disk = RealDisk()
    let log = try disk.openFile(layout.log, for: .readWrite)
    let bytes = try log.read(offset: 0, byteCount: try log.byteCount())
    let second = stride(from: 8, to: bytes.count, by: 8).first {
      Array(bytes[$0..<($0 + 8)]) == CommitRecord.magic
    }
    try log.truncate(toByteCount: try #require(second))
    let rows = try disk.openFile(layout.embeddings, for: .readWrite)
    try rows.truncate(toByteCount: 128 + 2 * RealStore.dimension * 4)
    let header = ShardHeader(rowCount: 2, dimension: RealStore.dimension, dtype: .float32)
    try rows.write(header.encoded, at: 0)

    let found = try store.verify()

    #expect(found.damage.flatMap(\.ids) == ["1-0"])
    #expect(found.damage.first?.rows == 2..<3)
  }

  @Test func toleratesACatalogThatIsBehindOrMissingAndNamesOneThatIsGarbage() throws {
    let (store, _) = try RealStore.with([2, 2, 3])
    let catalog = store.layout.catalogFile
    let whole = FileManager.default.contents(atPath: catalog)

    try FileManager.default.removeItem(atPath: catalog)
    let missing = try store.verify()
    try Data("no database".utf8).write(to: URL(fileURLWithPath: catalog))
    let garbage = try store.verify()
    try whole?.write(to: URL(fileURLWithPath: catalog))
    let open = try store.open()
    let other = try open.append(9, rowCount: 1).get()
    open.close()
    try whole?.write(to: URL(fileURLWithPath: catalog))
    let behind = try store.verify()

    #expect(other.receipt.sequence == 4)
    #expect(missing.isClean && missing.notes == [])
    #expect(garbage.damage.map(\.rows) == [0..<0] && garbage.damage[0].shard == nil)
    #expect(garbage.damage[0].reason.contains("made again from the logs"))
    #expect(behind.isClean && behind.notes.count == 1)
  }

  @Test func reportsADamagedDescription() throws {
    let (store, _) = try RealStore.with([2])

    try store.flipBit(at: 20, of: store.collection.collectionFile)
    let collection = try store.verify()
    try store.flipBit(at: 20, of: store.layout.storeFile)
    let whole = try store.verify()

    #expect(collection.damage.map(\.collection) == ["c"])
    #expect(whole.damage.count == 1)
  }

  @Test func reportsALostCollection() throws {
    let (store, _) = try RealStore.with([2])
    try FileManager.default.removeItem(atPath: store.collection.root)

    let found = try store.verify()

    #expect(found.damage.count == 1)
    #expect(found.damage.first?.ids == ["0-0", "0-1"])
  }

  @Test func changesNothing() throws {
    let (store, receipts) = try RealStore.with([2, 2, 3, 4, 1])
    try store.damage(receipts[0], row: 0)
    let before = try store.contents()

    _ = try store.verify()
    _ = try StoreVerifier(root: store.root).list()

    #expect(try store.contents() == before)
  }

  /// The files as a process leaves them that does not live to close them.
  @Test func verifiesACopyOfARunningStoreWithTheCatalogsLog() throws {
    let store = RealStore()
    let open = try store.open()
    for number in 0..<5 { _ = try open.append(number, rowCount: 2).get() }
    let copy = RealStore()
    try FileManager.default.removeItem(atPath: copy.root)
    try FileManager.default.copyItem(atPath: store.root, toPath: copy.root)
    open.close()
    let before = try copy.contents()

    let found = try copy.verify()

    #expect(found.damage == [])
    #expect(found.rowCount == 10)
    #expect(try copy.contents() == before)
  }

  @Test func tellsWhoHoldsAStoreInUse() throws {
    let store = RealStore()
    let open = try store.open()

    let problem = #expect(throws: StoreProblem.self) {
      _ = try StoreVerifier.lock(root: store.root)
    }
    open.close()

    #expect(problem?.description.contains("\(getpid())") == true)
  }

  @Test func refusesAFolderThatIsNoStore() throws {
    let store = RealStore()

    #expect(throws: StoreProblem.self) { try store.verify() }
    #expect(throws: StoreProblem.self) { try StoreVerifier(root: store.root).list() }
    #expect(throws: StoreProblem.self) { try StoreVerifier.lock(root: store.root + "/nowhere") }
    #expect(try store.contents() == [:])
  }

  @Test func countsWhatIsThereWithoutReadingRows() throws {
    let (store, receipts) = try RealStore.with([2, 2, 3, 4, 1])

    let listing = try #require(try StoreVerifier(root: store.root).list().first)

    #expect(listing.name == "c" && listing.dimension == 8 && listing.dtype == "float32")
    #expect(listing.rowCount == 12 && listing.batchCount == 5)
    #expect(listing.shardCount == receipts.last!.shard + 1)
    #expect(listing.problems == [])
  }

  @Test func tellsProgressUpToTheEnd() throws {
    let (store, _) = try RealStore.with([2, 2, 3])
    var last = (0, 0)

    _ = try StoreVerifier(root: store.root) { last = ($0, $1) }.verify()

    #expect(last.0 == last.1 && last.1 > 0)
  }
}
