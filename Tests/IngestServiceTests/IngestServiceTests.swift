// Promises P3 and P7 of the whole service on a real folder: receipts, replays, and a catalog that can be lost.

import Foundation
import IngestService
import ShardStore
import Synchronization
import SystemIO
import TestContent
import Testing

@Suite struct IngestServiceTests {
  @Test func givesTheSameReceiptAfterItWasOpenedAgain() throws {
    let (store, receipts) = try RealStore.with([2, 3, 4])
    let open = try store.open()

    let replay = try open.append(1, rowCount: 3).get()
    let known = try open.service.receipt("batch-1", in: open.collection)
    let unknown = try open.service.receipt("batch-9", in: open.collection)
    open.close()

    #expect(replay.isReplay)
    #expect(replay.receipt == receipts[1])
    #expect(known == receipts[1])
    #expect(unknown == nil)
    #expect(try store.verify().rowCount == 9)
  }

  @Test func storesNothingTwiceWhenTheCatalogCannotBeRead() throws {
    let (store, _) = try RealStore.with([2])
    let open = try store.open()
    try store.sqlite("DROP TABLE batches")

    let outcome = open.append(0, rowCount: 2)
    let rowCount = open.collection.rowCount
    open.close()

    #expect(throws: IngestError.self) { try outcome.get() }
    #expect(rowCount == 2)
  }

  @Test func refusesABatchIDThatStandsForOtherBytes() throws {
    let (store, receipts) = try RealStore.with([2])
    let open = try store.open()

    let outcome = open.append(5, rowCount: 2, batchID: "batch-0")
    open.close()

    guard case .failure(.keyReused("batch-0", let receipt)) = outcome else {
      return #expect(Bool(false), "\(outcome)")
    }
    #expect(receipt == receipts[0])
  }

  @Test func makesALostOrDamagedCatalogAgain() throws {
    let (store, receipts) = try RealStore.with([2, 3, 4, 1])
    let path = store.layout.catalogFile
    let damages: [() throws -> Void] = [
      { try FileManager.default.removeItem(atPath: path) },
      { try Data("no database at all".utf8).write(to: URL(fileURLWithPath: path)) },
      { try Data().write(to: URL(fileURLWithPath: path)) },
    ]
    for damage in damages {
      try damage()

      let open = try store.open()
      let found = try open.service.receipts(
        in: open.collection, prefix: "", descending: false, after: nil, limit: 100)
      let replay = try open.append(2, rowCount: 4).get()
      open.close()

      #expect(found == receipts)
      #expect(replay.isReplay && replay.receipt == receipts[2])
      #expect(try store.verify().isClean)
    }
  }

  @Test func storesABatchOnceThatManySendAtOnce() throws {
    let store = RealStore()
    let open = try store.open()
    let answers = Monitor<[Commit]>([])

    let threads = (0..<32).map { number in
      NamedThread("send-\(number)") {
        open.service.append(
          OpenStore.batch(1, rowCount: 3), to: open.collection, batchID: "same"
        ) { outcome in
          if let commit = try? outcome.get() { answers.change { $0.append(commit) } }
        }
      }
    }
    for thread in threads { thread.join() }
    let all = answers.wait { $0.count == 32 ? $0 : nil } ?? []
    open.close()

    #expect(Set(all.map(\.receipt.sequence)) == [1])
    #expect(all.filter { !$0.isReplay }.count == 1)
    #expect(try store.verify().rowCount == 3)
  }

  @Test func findsTheNewestRowOfAnIDInEveryShard() throws {
    let store = RealStore()
    let open = try store.open()
    for number in 0..<4 {
      _ = try open.append(7, rowCount: 3, batchID: "again-\(number)").get()
    }

    guard case .row(let shard, let row) = open.collection.find(Array("7-1".utf8)) else {
      Issue.record("7-1 is not found")
      return
    }
    let isEqual = try shard.withRows(row..<(row + 1)) {
      $0.elementsEqual(OpenStore.batch(7, rowCount: 3).rows[32..<64])
    }
    let other = open.collection.find(Array("7-3".utf8))
    open.close()

    #expect(shard.identity.number == 3 && row == 1)
    #expect(isEqual)
    guard case .unknown = other else {
      Issue.record("7-3 was never stored: \(other)")
      return
    }
  }

  @Test func refusesABatchOfAnotherShapeAndOneAfterItsEnd() throws {
    let store = RealStore()
    let open = try store.open()
    let batch = Batch(["a"], dimension: 2, values: [1, 2])
    let outcome = Mutex<Result<Commit, IngestError>?>(nil)

    open.service.append(batch, to: open.collection, batchID: nil) { answer in
      outcome.withLock { $0 = answer }
    }
    open.close()
    let late = open.append(1, rowCount: 1)

    guard case .failure(.shapeDiffers) = outcome.withLock({ $0 }) else {
      return #expect(Bool(false))
    }
    guard case .failure(.draining) = late else { return #expect(Bool(false)) }
  }

  @Test func refusesAFolderOfOthersAndANewerStore() throws {
    let (store, foreign) = (RealStore(), RealStore())
    try Data("cat".utf8).write(to: URL(fileURLWithPath: foreign.root + "/cat.jpg"))
    let (head, tail) = (#"{"crc32c":""#, #"","format":2,"store_uuid":"\#(UUID().uuidString)"}"#)
    let newer = head + CRC32C.of(Array((head + tail).utf8)).hexadecimal + tail
    try Data(newer.utf8).write(to: URL(fileURLWithPath: store.layout.storeFile))

    let (notAStore, newerFormat) = (
      #expect(throws: StoreProblem.self) { try foreign.open() },
      #expect(throws: StoreProblem.self) { try store.open() }
    )

    guard case .notAStore = notAStore, case .newerFormat(_, 2) = newerFormat else {
      return #expect(Bool(false))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: foreign.root) == ["cat.jpg"])
  }

  /// The shards belong to the UUID in the file: a new one would orphan them.
  @Test func neverCreatesACollectionOverOneThatCannotBeOpened() throws {
    let (store, _) = try RealStore.with([4, 4])
    let file = store.collection.collectionFile
    let original = FileManager.default.contents(atPath: file)
    try store.flipBit(at: 20, of: file)

    let damaged = #expect(throws: IngestError.self) { try store.open() }
    try FileManager.default.removeItem(atPath: file)
    let missing = #expect(throws: IngestError.self) { try store.open() }
    try original?.write(to: URL(fileURLWithPath: file))

    #expect(damaged != nil && missing != nil)
    #expect(try store.verify().damage == [])
    #expect(try store.verify().rowCount == 8)
  }

  @Test func cutsSealedShardsToTheirSizeAndIndexesThem() throws {
    let (store, _) = try RealStore.with([4, 4, 1])
    // The last shard is sealed when the next is begun; its neighbours already are, or are now.
    let open = try store.open()
    try open.collection.sealFinishedShards()
    open.close()

    for number in 0..<2 {
      let layout = store.collection.shard(number)
      let attributes = try FileManager.default.attributesOfItem(atPath: layout.embeddings)
      #expect(attributes[.size] as? Int == 128 + 4 * RealStore.dimension * 4)
      #expect(FileManager.default.fileExists(atPath: layout.index))
    }
  }
}
