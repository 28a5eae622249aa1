// A store in a temporary folder of this machine, opened by the real service. Used by the suites that need SQLite.

import Foundation
import Glibc
import IngestService
import Logging
import ShardStore
import SystemIO
import TestContent

final class RealStore: Sendable {
  let root: String

  static let dimension = 8

  init() {
    let name = "ingot-test-\(UUID().uuidString)"
    root = FileManager.default.temporaryDirectory.appendingPathComponent(name).path
    try! FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: root) }

  var layout: StoreLayout { StoreLayout(root: root) }
  var collection: CollectionLayout { layout.collection("c") }

  /// Shards of four rows, so that a few batches fill several.
  static var configuration: ServiceConfiguration {
    var configuration = ServiceConfiguration()
    configuration.shardByteCount = 4 * dimension * 4
    configuration.diskReserveByteCount = 0
    configuration.allocation = AllocationSteps(rowsByteCount: 4096, logByteCount: 4096)
    return configuration
  }

  static var logger: Logger {
    var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    logger.logLevel = .critical
    return logger
  }

  func open() throws -> OpenStore {
    let service = try IngestService.open(
      root: root, configuration: Self.configuration, lock: try IngestService.lock(root: root),
      logger: Self.logger)
    do throws(IngestError) {
      let collection = try service.createCollection(
        "c", dimension: Self.dimension, dtype: .float32
      ).collection
      return OpenStore(service: service, collection: collection)
    } catch {
      service.close()
      throw error
    }
  }

  /// A store with these batches, closed: batch n has the ids `n-ROW` and the batch id `batch-n`.
  static func with(_ rowCounts: [Int]) throws -> (store: RealStore, receipts: [Receipt]) {
    let store = RealStore()
    let open = try store.open()
    let receipts = try rowCounts.enumerated().map {
      try open.append($0, rowCount: $1).get().receipt
    }
    open.close()
    return (store, receipts)
  }

  func verify() throws -> StoreVerification { try StoreVerifier(root: root).verify() }

  func flipBit(at offset: Int, of path: String) throws {
    let file = try RealDisk().openFile(path, for: .readWrite)
    let byte = try file.read(offset: offset, byteCount: 1)[0]
    try file.write([byte ^ 0x10], at: offset)
  }

  /// Changes the catalog behind the service's back.
  func sqlite(_ sql: String) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    let script =
      "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.close()"
    process.arguments = ["python3", "-c", script, layout.catalogFile, sql]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw CocoaError(.executableLoad) }
  }

  /// Changes a value of a row of a receipt.
  func damage(_ receipt: Receipt, row: Int) throws {
    let offset = 128 + (receipt.rows.lowerBound + row) * Self.dimension * 4 + 6
    try flipBit(at: offset, of: collection.shard(receipt.shard).embeddings)
  }

  /// Every file with its bytes.
  func contents() throws -> [String: Data] {
    var contents: [String: Data] = [:]
    for path in try FileManager.default.subpathsOfDirectory(atPath: root) {
      contents[path] = FileManager.default.contents(atPath: root + "/" + path)
    }
    return contents
  }
}

/// A service that is running on a real store.
struct OpenStore {
  let service: IngestService
  let collection: Collection

  static func batch(_ number: Int, rowCount: Int) -> Batch {
    let values = (0..<(rowCount * RealStore.dimension)).map { Float(number * 1000 + $0) + 0.25 }
    return Batch(
      (0..<rowCount).map { "\(number)-\($0)" }, dimension: RealStore.dimension, values: values)
  }

  /// Appends and waits for the answer.
  func append(
    _ number: Int, rowCount: Int, batchID: String? = nil
  ) -> Result<Commit, IngestError> {
    let answer = Monitor<Result<Commit, IngestError>?>(nil)
    service.append(
      Self.batch(number, rowCount: rowCount), to: collection,
      batchID: batchID ?? "batch-\(number)"
    ) { outcome in answer.change { $0 = outcome } }
    return answer.wait { $0 } ?? .failure(.draining)
  }

  func close() { service.close() }
}
