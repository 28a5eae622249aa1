// Promises P5 and P6: damage within what was committed, then a restart. Nothing is cut, all other rows are served, and
// no damaged one is.

import DiskSimulation
import Foundation
import IngestService
import ShardStore
import SystemIO
import TestContent
import Testing

@Suite struct RestartTests {
  /// A sealed shard of some blocks and an open one in each collection; the last batch of one shares its shard's
  /// first block, header and all.
  static let plan = StorePlan(
    shardByteCount: 200_000,
    allocation: AllocationSteps(rowsByteCount: 1 << 16, logByteCount: 1 << 12),
    collections: [
      CollectionPlan(name: "clip", dimension: 64, rowCounts: [1, 280, 500, 250, 100]),
      CollectionPlan(
        name: "text.v2", dimension: 100, dtype: .float16, rowCounts: [999, 1, 4, 3]),
    ])

  enum Kind: String, CaseIterable { case garbage, zeros, bit }

  /// One place that is damaged before the restart.
  struct Place: CustomStringConvertible {
    let path: String
    let bytes: Range<Int>
    let kind: Kind

    var description: String { "\(kind) at \(bytes) of \(path)" }
  }

  @Test(arguments: [false, true], [false, true])
  func cutsNothingAndServesTheRest(isClosed: Bool, hasCatalog: Bool) throws {
    let store = isClosed ? try Self.plan.makeClosed() : try Self.plan.makeKilled()
    let map = try StoreMap(store)
    let places = try Self.places(store, map)
    var violations = 0

    for place in places {
      let copy = try store.copy()
      if !hasCatalog { try Self.removeCatalog(copy) }
      var touched = Touched()
      map.touch(place.path, try place.apply(to: copy), &touched)
      let before = try copy.contents()

      let problems = try Self.restart(copy, map, touched)

      violations += problems.count
      #expect(problems == [], "\(place)")
      #expect(try Self.cut(copy, before, map) == [], "\(place)")
      if hasCatalog {
        let found = try StoreVerifier(root: copy.root).verify()
        #expect(Self.isNamed(found, map, touched), "\(place): \(found.damage.map(\.reason))")
      }
    }
    FaultCounts.record(
      ["D5", "D6"], test: "RestartTests.cutsNothingAndServesTheRest", injections: places.count,
      violations: violations)
    print("restarts: \(places.count), closed \(isClosed), catalog \(hasCatalog)")
    #expect(places.count > 90)
  }

  /// Every block of rows and logs up to their committed ends, and every record.
  private static func places(_ store: ReferenceStore, _ map: StoreMap) throws -> [Place] {
    var places: [Place] = []
    for shard in map.shards.values.sorted(by: { $0.key < $1.key }) {
      let files = [("embeddings.npy", shard.rowsEnd), ("commits.log", shard.logEnd)]
      for (name, end) in files {
        let path = "\(shard.key.path)/\(name)"
        for start in stride(from: 0, to: end, by: SealTable.blockByteCount) {
          let block = start..<min(end, start + SealTable.blockByteCount)
          places += Kind.allCases.map { Place(path: path, bytes: block, kind: $0) }
        }
      }
      for batch in shard.batches {
        places += Kind.allCases.map {
          Place(path: "\(shard.key.path)/commits.log", bytes: batch.recordBytes, kind: $0)
        }
        places += Kind.allCases.map {
          Place(path: "\(shard.key.path)/embeddings.npy", bytes: batch.rowBytes, kind: $0)
        }
      }
    }
    return places
  }

  private static func removeCatalog(_ store: ReferenceStore) throws {
    for path in try store.files() where path.hasPrefix("catalog.sqlite") {
      try FileManager.default.removeItem(atPath: "\(store.root)/\(path)")
    }
  }

  /// Opens the store and asks for every id.
  private static func restart(
    _ store: ReferenceStore, _ map: StoreMap, _ touched: Touched
  ) throws -> [String] {
    let service = try plan.open(store)
    defer { service.close() }
    var problems: [String] = []
    for collectionPlan in plan.collections {
      guard let collection = service.collection(collectionPlan.name) else {
        problems.append("\(collectionPlan.name) is not there")
        continue
      }
      for index in collectionPlan.rowCounts.indices {
        let batch = plan.batch(index, of: collectionPlan)
        for row in 0..<batch.rowCount {
          let answer = Answer(collection, batch, row)
          if answer == .wrong {
            problems.append("\(collectionPlan.name) \(batch.ids.string(row)) has other bytes")
          }
          guard answer != .served, mustServe(collectionPlan.name, index, row, map, touched) else {
            continue
          }
          problems.append("\(collectionPlan.name) \(batch.ids.string(row)) is \(answer)")
        }
      }
    }
    return Array(problems.prefix(5))
  }

  /// How an id is answered.
  private enum Answer: Equatable {
    case served, refused, unknown, wrong

    init(_ collection: Collection, _ batch: Batch, _ row: Int) {
      switch collection.find(Array(batch.ids[row])) {
      case .unknown, .deleted: self = .unknown
      case .damaged, .lost: self = .refused
      case .row(let shard, let found):
        let rowByteCount = batch.rows.count / batch.rowCount
        let expected = UnsafeRawBufferPointer(
          rebasing: batch.rows[(row * rowByteCount)..<((row + 1) * rowByteCount)])
        do {
          self =
            try shard.withRows(found..<(found + 1)) { $0.elementsEqual(expected) }
            ? .served : .wrong
        } catch {
          self = .refused
        }
      }
    }
  }

  /// Rows that no damage touches; of a sealed shard also none in the same block, which has one checksum.
  private static func mustServe(
    _ collection: String, _ batchIndex: Int, _ row: Int, _ map: StoreMap, _ touched: Touched
  ) -> Bool {
    var index = batchIndex
    for shard in map.shards.values.filter({ $0.key.collection == collection })
      .sorted(by: { $0.key < $1.key })
    {
      guard index >= shard.batches.count else {
        let damaged = touched.batches[shard.key] ?? []
        if damaged.contains(index) { return false }
        guard shard.isSealed, touched.batches[shard.key] != nil else { return true }
        let batch = shard.batches[index]
        let stride = batch.rowBytes.count / batch.rows.count
        let start = batch.rowBytes.lowerBound + row * stride
        return !touched.blocks.contains {
          $0 >= start / SealTable.blockByteCount
            && $0 <= (start + stride - 1) / SealTable.blockByteCount
        }
      }
      index -= shard.batches.count
    }
    return false
  }

  /// Committed bytes that are no longer what they were; but for the header, which recovery writes.
  private static func cut(
    _ store: ReferenceStore, _ before: [String: [UInt8]], _ map: StoreMap
  ) throws -> [String] {
    let after = try store.contents()
    return map.shards.values.flatMap { shard in
      [
        ("embeddings.npy", ShardHeader.byteCount..<shard.rowsEnd),
        ("commits.log", 0..<shard.logEnd),
      ].compactMap { name, bytes in
        let path = "\(shard.key.path)/\(name)"
        guard let old = before[path], let new = after[path], new.count >= bytes.upperBound else {
          return "\(path) was cut"
        }
        return old[bytes] == new[bytes] ? nil : "\(path) was changed"
      }
    }
  }

  /// A header is written again at start; all other damage stays named.
  private static func isNamed(
    _ found: StoreVerification, _ map: StoreMap, _ touched: Touched
  ) -> Bool {
    switch map.judge(found, touched) {
    case .damage: true
    case .nothing, .note: touched.batches.values.allSatisfy(\.isEmpty)
    case .tornTail, .wrong: false
    }
  }
}

extension RestartTests.Place {
  /// - Returns: The bytes that changed.
  fileprivate func apply(to store: ReferenceStore) throws -> Range<Int> {
    let file = try RealDisk().openFile("\(store.root)/\(path)", for: .readWrite)
    switch kind {
    case .garbage:
      var random = SeededGenerator(seed: UInt64(bytes.lowerBound))
      try file.write(bytes.map { _ in UInt8(random.next() >> 56) }, at: bytes.lowerBound)
      return bytes
    case .zeros:
      try file.write([UInt8](repeating: 0, count: bytes.count), at: bytes.lowerBound)
      return bytes
    case .bit:
      let middle = (bytes.lowerBound + bytes.upperBound) / 2
      let byte = try file.read(offset: middle, byteCount: 1)
      try file.write([byte[0] ^ 0x10], at: middle)
      return middle..<(middle + 1)
    }
  }
}
