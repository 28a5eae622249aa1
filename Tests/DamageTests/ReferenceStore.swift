// Stores that are made to be damaged: filled by the real service, then copied. What is where in them: StoreMap.swift.

import Foundation
import Glibc
import IngestService
import Logging
import ShardStore
import SystemIO
import TestContent

/// A store's folder in memory where there is such a place; removed with this.
final class ReferenceStore: Sendable {
  let root: String

  init() throws {
    let memory = "/dev/shm"
    let parent =
      FileManager.default.isWritableFile(atPath: memory)
      ? memory : FileManager.default.temporaryDirectory.path
    root = "\(parent)/ingot-damage-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: root) }

  var layout: StoreLayout { StoreLayout(root: root) }

  /// The files as they are now, also while a service has them open: as a process that is killed leaves them.
  func copy() throws -> ReferenceStore {
    let copy = try ReferenceStore()
    try FileManager.default.removeItem(atPath: copy.root)
    try FileManager.default.copyItem(atPath: root, toPath: copy.root)
    return copy
  }

  /// Paths of all files below the root, sorted.
  func files() throws -> [String] {
    try FileManager.default.subpathsOfDirectory(atPath: root).sorted().filter {
      try RealDisk().kind(of: root + "/" + $0) == .file
    }
  }

  func bytes(_ path: String) throws -> [UInt8] {
    let file = try RealDisk().openFile(root + "/" + path, for: .read)
    return try file.read(offset: 0, byteCount: try file.byteCount())
  }

  func contents() throws -> [String: [UInt8]] {
    Dictionary(uniqueKeysWithValues: try files().map { ($0, try bytes($0)) })
  }
}

/// What is written to one collection.
struct CollectionPlan: Sendable {
  var name: String
  var dimension: Int
  var dtype = Dtype.float32
  /// Rows of each batch.
  var rowCounts: [Int]
}

/// A store as it is filled: the same collections, rows and ids from the same seed.
struct StorePlan: Sendable {
  var seed: UInt64 = 1
  /// Of the rows of a shard.
  var shardByteCount: Int
  var allocation = AllocationSteps(rowsByteCount: 4096, logByteCount: 1024)
  var collections: [CollectionPlan]

  /// About 64 KiB of files: sealed shards, open ones, batches from one row up, ids that need an overflow page.
  static let reference = StorePlan(
    shardByteCount: 4096,
    collections: [
      CollectionPlan(name: "clip", dimension: 16, rowCounts: [1, 40, 23, 5, 50, 2]),
      CollectionPlan(
        name: "text.v2", dimension: 8, dtype: .float16, rowCounts: [250, 3, 1, 200]),
    ])
}

extension StorePlan {
  func open(_ store: ReferenceStore) throws -> IngestService {
    var configuration = ServiceConfiguration()
    configuration.shardByteCount = shardByteCount
    configuration.diskReserveByteCount = 0
    configuration.allocation = allocation
    var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    logger.logLevel = .critical
    return try IngestService.open(root: store.root, configuration: configuration, logger: logger)
  }

  /// A store with all batches, closed.
  func makeClosed() throws -> ReferenceStore {
    let store = try ReferenceStore()
    try fill(store)
    return store
  }

  /// Opens a store, writes batches, and closes it: its service is gone when this returns, and with it the
  /// files that SQLite has beside an open one.
  func fill(_ store: ReferenceStore, _ part: (Range<Int>) -> Range<Int> = { $0 }) throws {
    let service = try open(store)
    defer { service.close() }
    try fill(service, part)
    try waitForSeals(service)
  }

  /// A stop does not wait for shards that are full to be sealed; here they are.
  private func waitForSeals(_ service: IngestService) throws {
    let deadline = MonotonicTime.now.advanced(by: .seconds(60))
    for collection in service.collections {
      for shard in collection.shards where shard.identity.number != collection.growingShard {
        while !shard.summary.isSealed {
          guard MonotonicTime.now < deadline else { throw CocoaError(.fileWriteUnknown) }
          _ = usleep(500)
        }
      }
    }
  }

  /// A store as a process leaves it that is killed after the last batches, which the catalog has in its own log.
  ///
  /// - Parameter lastCount: Batches of each collection that are written after a restart.
  func makeKilled(lastCount: Int = 1) throws -> ReferenceStore {
    let store = try ReferenceStore()
    try fill(store) { $0.dropLast(lastCount) }
    let service = try open(store)
    try fill(service) { $0.suffix(lastCount) }
    // Foundation copies for ever when a file is cut meanwhile.
    try waitForSeals(service)
    let copy = try copyWithWholeCatalog(store)
    service.close()
    return copy
  }

  /// The catalog is filled after the answer; the copy has all of it.
  private func copyWithWholeCatalog(_ store: ReferenceStore) throws -> ReferenceStore {
    let batchCount = collections.reduce(0) { $0 + $1.rowCounts.count }
    let deadline = MonotonicTime.now.advanced(by: .seconds(30))
    while true {
      let copy = try store.copy()
      let dump = try? CatalogDump(copy.layout.catalogFile)
      if dump?.rowCount(ofTable: "batches") == batchCount { return copy }
      guard MonotonicTime.now < deadline else { throw CocoaError(.fileReadUnknown) }
    }
  }

  func fill(
    _ service: IngestService, _ part: (Range<Int>) -> Range<Int> = { $0 }
  ) throws {
    for plan in collections {
      let collection = try service.createCollection(
        plan.name, dimension: plan.dimension, dtype: plan.dtype
      ).collection
      for index in part(plan.rowCounts.indices) {
        let answer = Monitor<Result<Commit, IngestError>?>(nil)
        service.append(batch(index, of: plan), to: collection, batchID: "\(plan.name)-\(index)") {
          outcome in answer.change { $0 = outcome }
        }
        _ = try (answer.wait { $0 } ?? .failure(.draining)).get()
      }
    }
  }

  /// A batch of a plan; always the same.
  func batch(_ index: Int, of plan: CollectionPlan) -> Batch {
    var random = SeededGenerator(seed: seed &+ UInt64(index) << 8 &+ UInt64(plan.dimension))
    let rowCount = plan.rowCounts[index]
    let rows = (0..<(rowCount * plan.dimension * plan.dtype.byteCount)).map { _ in
      UInt8(truncatingIfNeeded: random.next() >> 24)
    }
    return Batch(
      (0..<rowCount).map { Self.id(batch: index, row: $0) }, dimension: plan.dimension,
      dtype: plan.dtype, rows: rows,
      bodySHA256: index % 2 == 0 ? nil : (0..<32).map { UInt8($0 + index) })
  }

  static func id(batch: Int, row: Int) -> String { "images/\(batch)/\(row).jpg" }
}
