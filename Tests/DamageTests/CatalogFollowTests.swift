// Promises P1, P3 and P7 when catalog and shards are of two different moments: an older catalog is rolled forward; of
// older shards (a backup, or a disk that lied) the lost batches are named with their ids. A catalog that is damaged:
// CatalogRebuildTests.swift.

import DiskSimulation
import Foundation
import IngestService
import ShardStore
import SystemIO
import Testing

@Suite struct CatalogFollowTests {
  static let collection = CollectionPlan(
    name: "clip", dimension: 16, rowCounts: [1, 40, 23, 5, 50, 2])
  static let plan = StorePlan(shardByteCount: 4096, collections: [collection])

  @Test func namesWhatOnlyTheCatalogKnowsAndReadsWhatOnlyTheShardsKnow() throws {
    let moments = try Self.moments()
    var (behind, ahead) = (0, 0)
    for catalog in moments.indices {
      for shards in moments.indices {
        let store = try moments[shards].copy()
        try FileManager.default.removeItem(atPath: store.layout.catalogFile)
        try FileManager.default.copyItem(
          atPath: moments[catalog].layout.catalogFile, toPath: store.layout.catalogFile)

        let found = try StoreVerifier(root: store.root).verify()

        let place = "the catalog after \(catalog + 1) batches, the shards after \(shards + 1)"
        let lost = shards < catalog ? Self.ids((shards + 1)...catalog) : []
        #expect(Set(found.damage.flatMap(\.ids)) == lost, "\(place)")
        #expect(found.damage.isEmpty == lost.isEmpty, "\(place): \(found.damage)")
        try Self.checkServed(store, count: shards + 1, lost: lost, place)
        if catalog <= shards {
          let now = try CatalogDump(store.layout.catalogFile)
          #expect(try now == CatalogDump(moments[shards].layout.catalogFile), "\(place)")
        }
        if catalog > shards { ahead += 1 } else if catalog < shards { behind += 1 }
      }
    }
    FaultCounts.record(
      ["A4", "E5"], test: "CatalogFollowTests", injections: behind, violations: 0)
    FaultCounts.record(
      ["A11", "E6"], test: "CatalogFollowTests", injections: ahead, violations: 0)
    #expect(behind > 10 && ahead > 10)
  }

  /// The store after each batch, closed.
  private static func moments() throws -> [ReferenceStore] {
    let store = try ReferenceStore()
    return try collection.rowCounts.indices.map { index in
      try plan.fill(store) { _ in index..<(index + 1) }
      return try store.copy()
    }
  }

  private static func ids(_ batches: ClosedRange<Int>) -> Set<String> {
    Set(
      batches.flatMap { batch in
        (0..<collection.rowCounts[batch]).map { StorePlan.id(batch: batch, row: $0) }
      })
  }

  /// Every row that the shards have is served, and every lost id counts as lost, not as never seen; what is sent
  /// again is stored.
  private static func checkServed(
    _ store: ReferenceStore, count: Int, lost: Set<String>, _ place: String
  ) throws {
    let service = try plan.open(store)
    defer { service.close() }
    let found = try #require(service.collection(collection.name))
    for index in 0..<count {
      let batch = plan.batch(index, of: collection)
      for row in 0..<batch.rowCount {
        guard case .row(let shard, let place) = found.find(Array(batch.ids[row])) else {
          Issue.record("\(batch.ids.string(row)) is not served: \(place)")
          continue
        }
        let byteCount = batch.rows.count / batch.rowCount
        let isEqual = try shard.withRows(place..<(place + 1)) {
          $0.elementsEqual(batch.rows[(row * byteCount)..<((row + 1) * byteCount)])
        }
        #expect(isEqual)
      }
    }
    for id in lost.sorted().prefix(3) + lost.sorted().suffix(3) {
      switch found.find(Array(id.utf8)) {
      case .lost, .damaged: break
      default: Issue.record("\(id) is not called lost: \(place)")
      }
    }
  }
}
