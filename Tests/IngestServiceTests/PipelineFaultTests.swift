// What the pipeline does after a failed sync, and about shards that cannot be opened. Every operation, every crash:
// Tests/ExplorerTests. Batches: PipelineFixture.swift.

import DiskSimulation
import Glibc
import ShardStore
import Synchronization
import SystemIO
import Testing

@testable import IngestService

@Suite struct PipelineFaultTests {
  @Test func refusesTheGroupBehindAFailedSyncAndBeginsAShard() throws {
    let run = try FaultRun(PipelineFixture(rowCounts: [1, 1, 1, 1]))
    run.commit([0])
    let first = run.pipeline.write([run.pending(1)])
    let second = run.pipeline.write([run.pending(2)])

    run.failOnce("fdatasync", EIO)
    run.pipeline.sync(first)
    run.pipeline.sync(second)
    run.commit([3])

    #expect(run.acknowledged.keys.sorted() == [0, 3])
    #expect(run.acknowledged[3]?.sequence == 2)
    #expect(run.acknowledged[3]?.shard == 1)
    #expect(run.acknowledged[3]?.rows == 0..<1)
    #expect(try run.numbersAfterReopening() == [0, 3])
  }

  /// Of the shard that grows, and of a new one; both batches of the group are told.
  @Test(arguments: [(ENOSPC, true), (ENOSPC, false), (EMFILE, false), (EIO, true), (EIO, false)])
  func saysWhyBatchesWereNotWritten(code: Int32, isFirst: Bool) throws {
    let run = try FaultRun(PipelineFixture(rowCounts: [1, 1, 1, 1]))
    if !isFirst { run.commit([0]) }
    let before = run.acknowledged.count
    run.disk.setFault { operation, _, _ in operation == "pwrite" ? code : nil }

    run.commit([1, 2])

    #expect(run.failures.count == 2)
    for failure in run.failures {
      switch (failure, code) {
      case (.diskFull(let needed, _, let reason), ENOSPC):
        #expect(needed > 0 && reason.contains("pwrite"))
      case (.noDescriptorLeft(let reason), EMFILE), (.storageFailed(let reason), EIO):
        #expect(reason.contains("pwrite"))
      default: Issue.record("\(failure) after error \(code)")
      }
    }
    run.disk.setFault(nil)
    run.commit([3])
    #expect(run.acknowledged.count == before + 1)
  }

  @Test func doesNotTakeTheNumberOfAShardThatCannotBeOpened() throws {
    let run = try FaultRun(PipelineFixture(rowCounts: [3, 3, 1, 1]))
    run.commit([0])
    run.commit([1])
    let log = PipelineFixture.layout.collection("c").shard(1).log
    let original = try run.bytes(log)
    try run.disk.openFile(log, for: .readWrite).truncate(toByteCount: 0)
    let again = try run.restarted()
    #expect(again.collection.unusableShards.keys.sorted() == [1])

    again.failOnce("fdatasync", EIO)
    again.commit([2])
    again.commit([3])

    #expect(again.acknowledged[3]?.shard == 2)
    try run.disk.openFile(log, for: .readWrite).write(original, at: 0)
    #expect(try again.restarted().present().keys.contains(1))
  }
}

@Suite struct ParallelSyncTests {
  /// Rows and log are synced on threads of their own; neither failure is lost, and the next sync is not blamed for it.
  @Test(arguments: ["embeddings.npy", "commits.log"])
  func failsWithEitherFile(name: String) throws {
    let run = try FaultRun(PipelineFixture(rowCounts: [1]))
    let part = try #require(run.pipeline.write([run.pending(0)]).first)
    let sync = ParallelSync()
    sync.start()
    defer { sync.close() }

    run.disk.setFault { operation, path, _ in
      operation == "fdatasync" && path.hasSuffix(name) ? EIO : nil
    }
    #expect(throws: DiskError.self) { try sync.syncBoth(part.writer) }
    run.disk.setFault(nil)

    #expect(throws: Never.self) { try sync.syncBoth(part.writer) }
  }
}

/// One collection on a simulated disk whose operations can be made to fail.
struct FaultRun {
  let workload: PipelineFixture
  let disk: SimulatedDisk
  let collection: Collection
  let pipeline = CommitPipeline(events: CommitPipeline.Events(), clock: { 7 })
  private let outcomes = Outcomes()

  final class Outcomes: Sendable {
    let acknowledged = Mutex<[Int: Receipt]>([:])
    let failures = Mutex<[IngestError]>([])
  }

  init(_ workload: PipelineFixture) throws {
    let disk = SimulatedDisk()
    let layout = PipelineFixture.layout
    for path in [layout.root, layout.collections] {
      try disk.makeDirectory(path)
    }
    try disk.syncDirectory("/")
    try disk.syncDirectory(layout.root)
    let collection = try Collection.create(
      "c", store: PipelineFixture.storeUUID, geometry: PipelineFixture.geometry, layout: layout,
      disk: disk, steps: PipelineFixture.steps)
    self.init(workload, disk, collection)
  }

  private init(_ workload: PipelineFixture, _ disk: SimulatedDisk, _ collection: Collection) {
    self.workload = workload
    self.disk = disk
    self.collection = collection
  }

  /// Opens what is on a disk, as the next process does.
  init(reopening disk: SimulatedDisk, of other: FaultRun) throws {
    let opener = FaultRun.opener(disk, collectionUUID: other.collection.opener.collectionUUID)
    var report = RecoveryReport()
    let collection = try Collection.open(
      "c", opener: opener, known: CatalogEvidence(), report: &report)
    self.init(other.workload, disk, collection)
  }

  static func opener(_ disk: SimulatedDisk, collectionUUID: StoreUUID) -> ShardOpener {
    ShardOpener(
      disk: disk, collection: PipelineFixture.layout.collection("c"),
      store: PipelineFixture.storeUUID, collectionUUID: collectionUUID,
      geometry: PipelineFixture.geometry, steps: PipelineFixture.steps)
  }

  func restarted() throws -> FaultRun {
    let again = try FaultRun(reopening: disk, of: self)
    let known = try again.present()
    // What is there is known by its batch id, and is not sent again.
    let receipts = again.outcomes
    for shard in again.collection.shards {
      var reader = shard.logReader(from: 0)
      while let found = try? reader.next() {
        guard let number = Self.number(found.record.batchID), known[number] != nil else { continue }
        let receipt =
          acknowledged[number]
          ?? Receipt(
            found.record, shard: shard.identity.number, collection: "c")
        receipts.acknowledged.withLock { $0[number] = receipt }
      }
    }
    return again
  }

  var acknowledged: [Int: Receipt] { outcomes.acknowledged.withLock { $0 } }
  var failures: [IngestError] { outcomes.failures.withLock { $0 } }

  func pending(_ number: Int) -> PendingBatch {
    let rowCount = workload.rowCounts[number]
    return PendingBatch(
      collection: collection, batch: PipelineFixture.batch(number, rowCount: rowCount),
      batchID: PipelineFixture.batchID(number)
    ) { [outcomes] outcome in
      switch outcome {
      case .success(let receipt): outcomes.acknowledged.withLock { $0[number] = receipt }
      case .failure(let error): outcomes.failures.withLock { $0.append(error) }
      }
    }
  }

  func commit(_ numbers: [Int]) { pipeline.sync(pipeline.write(numbers.map(pending))) }

  func failOnce(_ operation: String, _ code: Int32) {
    let counter = Counter()
    disk.setFault { name, _, _ in name == operation && counter.next() == 0 ? code : nil }
  }

  func bytes(_ path: String) throws -> [UInt8] {
    let file = try disk.openFile(path, for: .read)
    return try file.read(offset: 0, byteCount: try file.byteCount())
  }

  private static func number(_ batchID: String) -> Int? { Int(batchID.dropFirst("batch-".count)) }

  /// The sequences under which each batch is there, with right rows.
  func present() throws -> [Int: [Int]] {
    var present: [Int: [Int]] = [:]
    for shard in collection.shards {
      var reader = shard.logReader(from: 0)
      while let found = try? reader.next() {
        guard let number = Self.number(found.record.batchID) else { continue }
        let sent = PipelineFixture.batch(number, rowCount: workload.rowCounts[number])
        let isEqual = try shard.withRows(found.record.rows) { $0.elementsEqual(sent.rows) }
        if !isEqual { Issue.record("rows of batch \(number) differ") }
        present[number, default: []].append(found.record.sequence)
      }
    }
    return present
  }

  func numbersAfterReopening() throws -> [Int] {
    try FaultRun(reopening: disk, of: self).present().keys.sorted()
  }
}

private final class Counter: Sendable {
  private let value = Mutex(0)

  var count: Int { value.withLock { $0 } }

  func next() -> Int {
    value.withLock { value in
      defer { value += 1 }
      return value
    }
  }
}
