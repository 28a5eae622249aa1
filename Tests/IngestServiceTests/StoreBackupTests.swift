// Promise: a copy of a store is an earlier state of it, never less than the copy before, and never another store.

import Foundation
import Glibc
import IngestService
import ShardStore
import SystemIO
import Testing

@testable import IngestService

@Suite struct StoreBackupTests {
  /// A directory for a copy, removed at the end.
  private final class Copy {
    let root = FileManager.default.temporaryDirectory
      .appendingPathComponent("ingot-copy-\(UUID().uuidString)").path

    deinit { try? FileManager.default.removeItem(atPath: root) }

    func shard(_ number: Int) -> ShardLayout {
      StoreLayout(root: root).collection("c").shard(number)
    }
    func verify() throws -> StoreVerification { try StoreVerifier(root: root).verify() }
  }

  private func backup(
    _ store: RealStore, to copy: Copy, mayHardLink: Bool = true,
    progress: @escaping (Int, Int) -> Void = { _, _ in },
    isCancelled: @escaping () -> Bool = { false }
  ) throws -> BackupSummary {
    try StoreBackup(
      source: store.root, target: copy.root, mayHardLink: mayHardLink, progress: progress,
      isCancelled: isCancelled
    ).run()
  }

  /// Batches of whole shards and one that grows; shards have four rows.
  private static let rowCounts = [4, 4, 4, 3]

  // MARK: - Copies

  @Test(arguments: [true, false])
  func copyIsCleanAndEqual(mayHardLink: Bool) throws {
    let (store, _) = try RealStore.with(Self.rowCounts)
    let copy = Copy()
    let summary = try backup(store, to: copy, mayHardLink: mayHardLink)
    let found = try copy.verify()

    #expect(found.damage == [] && found.notes == [])
    #expect(summary.problems == [] && summary.notes == [])
    #expect(summary.rowCount == 15 && found.rowCount == 15)
    #expect(summary.shardCount == 4 && summary.writtenShardCount == 4)
    // A shard that waits to be sealed has preallocated space, which is not copied.
    let (left, right) = (try store.contents(), try contents(copy))
    for (path, bytes) in right where !path.hasPrefix("catalog") {
      #expect(left[path]?.starts(with: bytes) == true, "\(path)")
      #expect(left[path]?.dropFirst(bytes.count).allSatisfy { $0 == 0 } == true, "\(path)")
    }
    #expect(Set(right.keys) == Set(left.keys))
  }

  @Test func secondRunWritesOnlyWhatIsNew() throws {
    let (store, _) = try RealStore.with(Self.rowCounts)
    let copy = Copy()
    _ = try backup(store, to: copy)
    let again = try backup(store, to: copy)
    let open = try store.open()
    _ = try open.append(9, rowCount: 1).get()
    _ = try open.append(10, rowCount: 4).get()
    let grown = try backup(store, to: copy)
    open.close()

    #expect(again.writtenShardCount == 0 && again.byteCount(.linked) == 0)
    #expect(again.byteCount(.skipped) > 0)
    #expect(grown.writtenShardCount == 2 && grown.rowCount == 20)
    #expect(try copy.verify().damage == [])
  }

  @Test func takesNoLockAndMakesNoFilesInTheSource() throws {
    let (store, _) = try RealStore.with(Self.rowCounts)
    let before = try store.contents()
    let lock = try IngestService.lock(root: store.root)
    _ = try backup(store, to: Copy(), mayHardLink: false)
    withExtendedLifetime(lock) {}

    #expect(try store.contents() == before)
  }

  @Test func copiesTheQuarantine() throws {
    let (store, _) = try RealStore.with(Self.rowCounts)
    let directory = store.root + "/quarantine/c-000001"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    try Data("damaged".utf8).write(to: URL(filePath: directory + "/embeddings.npy"))
    let copy = Copy()
    _ = try backup(store, to: copy)
    try Data("changed".utf8).write(to: URL(filePath: directory + "/embeddings.npy"))
    _ = try backup(store, to: copy)

    let found = FileManager.default.contents(
      atPath: copy.root + "/quarantine/c-000001/embeddings.npy")
    #expect(found == Data("changed".utf8))
  }

  // MARK: - What is lost or replaced

  @Test func keepsAShardThatTheSourceLost() throws {
    let (store, receipts) = try RealStore.with(Self.rowCounts)
    let copy = Copy()
    _ = try backup(store, to: copy)
    try FileManager.default.removeItem(atPath: store.collection.shard(1).root)
    let summary = try backup(store, to: copy)

    #expect(summary.problems.count == 1 && summary.problems[0].contains("shard 000001"))
    #expect(summary.removedShardCount == 0)
    #expect(try copy.verify().damage == [])
    #expect(receipts[1].shard == 1)
  }

  @Test func removesAShardThatTheCatalogNoLongerKnows() throws {
    let (store, receipts) = try RealStore.with([4, 4])
    let copy = Copy()
    _ = try backup(store, to: copy)
    try FileManager.default.removeItem(atPath: store.collection.shard(receipts[1].shard).root)
    try store.sqlite("DELETE FROM shards WHERE shard = 1; DELETE FROM batches WHERE shard = 1")
    // The copy knows more than the source and is asked to follow it, as after a compaction.
    try removeCatalog(of: copy)
    let summary = try backup(store, to: copy)

    #expect(summary.problems == [] && summary.removedShardCount == 1)
    #expect(!FileManager.default.fileExists(atPath: copy.shard(1).root))
    #expect(try copy.verify().damage == [])
  }

  @Test func doesNotReplaceAGoodShardByADamagedOne() throws {
    let (store, receipts) = try RealStore.with(Self.rowCounts)
    let copy = Copy()
    _ = try backup(store, to: copy, mayHardLink: false)
    let log = store.collection.shard(receipts[1].shard).log
    try store.flipBit(at: 90, of: log)
    let byteCount = try RealDisk().openFile(log, for: .read).byteCount()
    try store.flipBit(at: byteCount - 3, of: log)
    let summary = try backup(store, to: copy, mayHardLink: false)

    #expect(summary.problems.count == 1 && summary.problems[0].contains("keeps its own"))
    #expect(try copy.verify().damage == [])
  }

  /// The directory of a shard that was copied already is exchanged, as compaction does, while a later one
  /// is copied.
  @Test func beginsAgainWhenAShardIsReplacedMeanwhile() throws {
    let (store, _) = try RealStore.with(Self.rowCounts)
    let path = store.collection.shard(0).root
    try FileManager.default.copyItem(atPath: path, toPath: store.root + "/other")
    var exchanges = 0
    var calls = 0
    let copy = Copy()
    let summary = try backup(
      store, to: copy, mayHardLink: false,
      progress: { _, _ in
        calls += 1
        guard calls == 6 else { return }
        exchanges += 1
        _ = try? RealDisk().exchange(path, with: store.root + "/other")
      })

    #expect(exchanges == 1)
    #expect(summary.problems == [] && summary.shardCount == 4 && summary.rowCount == 15)
    #expect(try copy.verify().damage == [])
  }

  @Test func givesUpOnAStoreThatNeverStandsStill() throws {
    let (store, _) = try RealStore.with(Self.rowCounts)
    let path = store.collection.shard(0).root
    try FileManager.default.copyItem(atPath: path, toPath: store.root + "/other")
    #expect(throws: BackupProblem.self) {
      _ = try backup(
        store, to: Copy(), mayHardLink: false,
        progress: { _, _ in _ = try? RealDisk().exchange(path, with: store.root + "/other") })
    }
  }

  // MARK: - Interrupted

  /// Every piece at which a run can be asked to stop, in a first copy and in a later one.
  @Test func everyInterruptedRunIsCompletedByTheNext() throws {
    let (store, _) = try RealStore.with(Self.rowCounts)
    for stop in 0..<40 {
      let copy = Copy()
      var calls = 0
      do {
        _ = try backup(
          store, to: copy, mayHardLink: stop % 2 == 0,
          isCancelled: {
            calls += 1
            return calls > stop
          })
        #expect(stop > 10, "nothing could be interrupted")
        break
      } catch BackupProblem.interrupted {
        #expect(!FileManager.default.fileExists(atPath: copy.root + "/store.json"))
        #expect(throws: StoreProblem.self) { _ = try copy.verify() }
      }
      _ = try backup(store, to: copy)
      let found = try copy.verify()
      #expect(found.damage == [] && found.notes == [] && found.rowCount == 15)
    }
  }

  // MARK: - Refused

  @Test func refusesACopyThatWasServedByItself() throws {
    let (store, _) = try RealStore.with(Self.rowCounts)
    let copy = Copy()
    _ = try backup(store, to: copy, mayHardLink: false)
    try append(99, to: copy.root)
    let before = try contents(copy)

    let problem = #expect(throws: BackupProblem.self) { _ = try backup(store, to: copy) }
    guard case .targetDiffers = problem else {
      Issue.record("\(problem!)")
      return
    }
    #expect(try contents(copy) == before)
  }

  /// The source went on as well, with other batches under the same sequences.
  @Test func refusesACopyThatWentAnotherWay() throws {
    let (store, _) = try RealStore.with(Self.rowCounts)
    let copy = Copy()
    _ = try backup(store, to: copy, mayHardLink: false)
    try append(99, to: copy.root)
    for number in 50...55 { try append(number, to: store.root) }

    let problem = #expect(throws: BackupProblem.self) { _ = try backup(store, to: copy) }
    guard case .targetDiffers = problem else {
      Issue.record("\(problem!)")
      return
    }
  }

  @Test func decisionsAboutAShard() {
    var sealed = ShardCut()
    sealed.isSealed = true
    sealed.rowCount = 4
    var open = sealed
    open.isSealed = false
    var damaged = open
    damaged.damage = "damaged"

    #expect(BackupShardPlan(source: sealed, copy: nil, copyIsExact: false) == .write)
    #expect(BackupShardPlan(source: sealed, copy: sealed, copyIsExact: true) == .skip)
    #expect(BackupShardPlan(source: sealed, copy: sealed, copyIsExact: false) == .write)
    #expect(BackupShardPlan(source: sealed, copy: open, copyIsExact: true) == .write)
    #expect(BackupShardPlan(source: damaged, copy: nil, copyIsExact: false) == .write)
    #expect(
      BackupShardPlan(source: damaged, copy: sealed, copyIsExact: false)
        == .keep(reason: "damaged"))
    #expect(BackupLostShardPlan(isReplaced: false, catalogKnows: true) == .keep)
    #expect(BackupLostShardPlan(isReplaced: false, catalogKnows: nil) == .keep)
    #expect(BackupLostShardPlan(isReplaced: false, catalogKnows: false) == .remove)
    #expect(BackupLostShardPlan(isReplaced: true, catalogKnows: nil) == .remove)
  }

  // MARK: - Ways to change a copy

  private func contents(_ copy: Copy) throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: copy.root) {
      contents[path] = FileManager.default.contents(atPath: copy.root + "/" + path)
    }
    return contents
  }

  private func removeCatalog(of copy: Copy) throws {
    try FileManager.default.removeItem(atPath: StoreLayout(root: copy.root).catalogFile)
  }

  /// Serves a store for one batch.
  private func append(_ number: Int, to root: String) throws {
    let service = try IngestService.open(
      root: root, configuration: RealStore.configuration, lock: try IngestService.lock(root: root),
      logger: RealStore.logger)
    let collection = try #require(service.collection("c"))
    _ = try OpenStore(service: service, collection: collection).append(number, rowCount: 1).get()
    service.close()
  }
}
