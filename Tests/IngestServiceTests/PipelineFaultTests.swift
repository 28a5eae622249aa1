// Promises P1, P2, P3 and P9 when an operation of the disk fails: each one, once and for ever.
// Power cuts: CrashSimulationTests.swift. Batches: CrashWorkload.swift.

import DiskSimulation
import Glibc
import ShardStore
import Synchronization
import SystemIO
import Testing

@testable import IngestService

@Suite struct PipelineFaultTests {
  enum Mode: CaseIterable {
    case once, forEver

    func applies(_ operation: Int, at fault: Int) -> Bool {
      self == .once ? operation == fault : operation >= fault
    }
  }

  @Test(arguments: [EIO, ENOSPC], Mode.allCases)
  func keepsWhatWasAcknowledgedWhicheverOperationFails(code: Int32, mode: Mode) throws {
    var stateCount = 0
    for workload in FaultRun.workloads {
      let operationCount = try FaultRun(workload).commitAll { _ in nil }
      for fault in 0..<operationCount {
        let place = "\(workload), operation \(fault) of \(operationCount), \(mode), error \(code)"
        let run = try FaultRun(workload)
        _ = run.commitAll { mode.applies($0, at: fault) ? code : nil }

        check(run, run.disk, place + ", opened again")
        let retried = try FaultRun(workload)
        _ = retried.commitAll { mode.applies($0, at: fault) ? code : nil }
        retried.retry()
        if retried.acknowledged.count != workload.rowCounts.count {
          Issue.record("the retry was refused: \(place): \(retried.failures)")
        }
        check(retried, retried.disk, place + ", retried")
        check(retried, retried.diskAfterPowerCut(), place + ", retried, then without power")
        stateCount += 3
      }
    }
    print("states after a fault: \(stateCount)")
    #expect(stateCount > 400)
  }

  /// A process that ends between two operations leaves all of its writes, synced or not.
  @Test func syncsWhatItFindsBeforeItAcknowledgesMore() throws {
    for workload in FaultRun.workloads {
      let operationCount = try FaultRun(workload).commitAll { _ in nil }
      for fault in 0..<operationCount {
        let run = try FaultRun(workload)
        _ = run.commitAll { $0 >= fault ? EIO : nil }

        let again = try run.restarted()
        again.retry()

        let place = "\(workload), ended before operation \(fault) of \(operationCount)"
        #expect(again.acknowledged.count == workload.rowCounts.count, "\(place)")
        check(again, again.diskAfterPowerCut(), place)
      }
    }
  }

  @Test func refusesTheGroupBehindAFailedSyncAndBeginsAShard() throws {
    let run = try FaultRun(CrashWorkload(rowCounts: [1, 1, 1, 1], schedule: .oneByOne))
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

  @Test func doesNotTakeTheNumberOfAShardThatCannotBeOpened() throws {
    let run = try FaultRun(CrashWorkload(rowCounts: [3, 3, 1, 1], schedule: .oneByOne))
    run.commit([0])
    run.commit([1])
    let log = CrashWorkload.layout.collection("c").shard(1).log
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

  private func check(_ run: FaultRun, _ disk: SimulatedDisk, _ place: String) {
    do {
      for (number, reason) in try run.damage(on: disk) {
        Issue.record("P5: shard \(number) is called damaged: \(reason): \(place)")
      }
      let again = try FaultRun(reopening: disk, of: run)
      let present = try again.present()
      for (number, receipt) in run.acknowledged where present[number] != [receipt.sequence] {
        Issue.record("P1: batch \(number) is there as \(present[number] ?? []): \(place)")
      }
      let sequences = present.values.flatMap(\.self).sorted()
      if sequences != Array(1..<(sequences.count + 1)) {
        Issue.record("P2: sequences are \(sequences): \(place)")
      }
      if present.values.contains(where: { $0.count != 1 }) {
        Issue.record("P3: a batch is there twice: \(present): \(place)")
      }
      if !again.collection.unusableShards.isEmpty {
        Issue.record("P6: unusable \(again.collection.unusableShards): \(place)")
      }
    } catch {
      Issue.record("\(error): \(place)")
    }
  }
}

/// One collection on a simulated disk whose operations can be made to fail.
struct FaultRun {
  let workload: CrashWorkload
  let disk: SimulatedDisk
  let collection: Collection
  let pipeline = CommitPipeline(events: CommitPipeline.Events(), clock: { 7 })
  private let outcomes = Outcomes()

  final class Outcomes: Sendable {
    let acknowledged = Mutex<[Int: Receipt]>([:])
    let failures = Mutex<[String]>([])
  }

  static let workloads = [
    CrashWorkload(rowCounts: [1, 3, 1], schedule: .oneByOne),
    CrashWorkload(rowCounts: [1, 1, 3, 3], schedule: .overlapped),
    CrashWorkload(rowCounts: [3, 3, 1], schedule: .grouped),
  ]

  init(_ workload: CrashWorkload) throws {
    let disk = SimulatedDisk()
    let layout = CrashWorkload.layout
    for path in [layout.root, layout.collections] {
      try disk.makeDirectory(path)
    }
    try disk.syncDirectory("/")
    try disk.syncDirectory(layout.root)
    let collection = try Collection.create(
      "c", store: CrashWorkload.storeUUID, geometry: CrashWorkload.geometry, layout: layout,
      disk: disk, steps: CrashWorkload.steps)
    self.init(workload, disk, collection)
  }

  private init(_ workload: CrashWorkload, _ disk: SimulatedDisk, _ collection: Collection) {
    self.workload = workload
    self.disk = disk
    self.collection = collection
  }

  /// Opens what is on a disk, as the next process does.
  init(reopening disk: SimulatedDisk, of other: FaultRun) throws {
    let opener = FaultRun.opener(disk, collectionUUID: other.collection.opener.collectionUUID)
    var report = RecoveryReport()
    let collection = try Collection.open(
      "c", opener: opener, catalogRowCounts: [:], catalogSequence: 0, report: &report)
    self.init(other.workload, disk, collection)
  }

  static func opener(_ disk: SimulatedDisk, collectionUUID: StoreUUID) -> ShardOpener {
    ShardOpener(
      disk: disk, collection: CrashWorkload.layout.collection("c"),
      store: CrashWorkload.storeUUID, collectionUUID: collectionUUID,
      geometry: CrashWorkload.geometry, steps: CrashWorkload.steps)
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
  var failures: [String] { outcomes.failures.withLock { $0 } }

  func pending(_ number: Int) -> PendingBatch {
    let rowCount = workload.rowCounts[number]
    return PendingBatch(
      collection: collection, batch: CrashWorkload.batch(number, rowCount: rowCount),
      batchID: CrashWorkload.batchID(number)
    ) { [outcomes] outcome in
      switch outcome {
      case .success(let receipt): outcomes.acknowledged.withLock { $0[number] = receipt }
      case .failure(let error): outcomes.failures.withLock { $0.append("\(error)") }
      }
    }
  }

  func commit(_ numbers: [Int]) { pipeline.sync(pipeline.write(numbers.map(pending))) }

  /// Commits all batches in the interleaving of the workload.
  ///
  /// - Parameter fault: The error number of an operation, by how many were before it.
  /// - Returns: how many operations there were.
  func commitAll(fault: @escaping @Sendable (_ operation: Int) -> Int32?) -> Int {
    let counter = Counter()
    disk.setFault { _, _, _ in fault(counter.next()) }
    let numbers = Array(workload.rowCounts.indices)
    switch workload.schedule {
    case .oneByOne:
      for number in numbers { commit([number]) }
    case .grouped:
      commit(numbers)
    case .overlapped:
      var before: [WrittenPart] = []
      for number in numbers {
        let parts = pipeline.write([pending(number)])
        pipeline.sync(before)
        before = parts
      }
      pipeline.sync(before)
    }
    disk.setFault(nil)
    return counter.count
  }

  /// Sends again what was not acknowledged.
  func retry() {
    for number in workload.rowCounts.indices where acknowledged[number] == nil { commit([number]) }
  }

  func failOnce(_ operation: String, _ code: Int32) {
    let counter = Counter()
    disk.setFault { name, _, _ in name == operation && counter.next() == 0 ? code : nil }
  }

  func bytes(_ path: String) throws -> [UInt8] {
    let file = try disk.openFile(path, for: .read)
    return try file.read(offset: 0, byteCount: try file.byteCount())
  }

  /// Only what was synced.
  func diskAfterPowerCut() -> SimulatedDisk {
    var cut = PowerCut(disk, blockByteCount: 512)
    while !cut.isAtEnd { _ = cut.advance() }
    return cut.disk { _ in false }
  }

  private static func number(_ batchID: String) -> Int? { Int(batchID.dropFirst("batch-".count)) }

  /// The sequences under which each batch is there, with right rows.
  func present() throws -> [Int: [Int]] {
    var present: [Int: [Int]] = [:]
    for shard in collection.shards {
      var reader = shard.logReader(from: 0)
      while let found = try? reader.next() {
        guard let number = Self.number(found.record.batchID) else { continue }
        let sent = CrashWorkload.batch(number, rowCount: workload.rowCounts[number])
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

  /// What the verifier finds before anything is recovered: nothing that is only torn.
  func damage(on disk: SimulatedDisk) throws -> [(Int, String)] {
    let opener = Self.opener(disk, collectionUUID: collection.opener.collectionUUID)
    let numbers = try disk.names(inDirectory: opener.collection.shards).compactMap {
      ShardIdentity.number(ofDirectoryName: $0)
    }
    return numbers.flatMap { number in
      let next = numbers.first { $0 > number }.flatMap { opener.firstSequence($0) }
      let found = ShardVerifier(opener).verify(number, evidence: .init(nextShardSequence: next))
      return found.damage.map { (number, $0.reason) }
    }
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
