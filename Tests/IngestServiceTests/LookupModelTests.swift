// Looking up one id, many ids, all ids and live rows, against a dictionary, while batches, deletions and compactions
// come in any order.

import Glibc
import ShardStore
import SystemIO
import TestContent
import Testing

@testable import IngestService

@Suite struct LookupModelTests {
  /// What a batch put there last; nil once deleted.
  private typealias Model = [String: Float?]

  @Test(arguments: 0..<12) func everyLookUpSaysWhatWasDoneLast(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let store = RealStore()
    // Emptied before the store is opened again: whoever holds a service holds the lock.
    var current: OpenStore? = try store.open()
    var model: Model = [:]
    for step in 1...40 {
      if Int.random(in: 0..<10, using: &random) == 0 {
        current?.close()
        current = nil
        current = try store.open()
      }
      let open = try #require(current)
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<6: append(step, to: open, &model, &random)
      case 6..<9: delete(from: open, &model, &random)
      default: compact(open)
      }
      compare(open.collection, model, "seed \(seed), step \(step)")
    }
    current?.close()
    current = nil
    #expect(try store.verify().damage == [])
  }

  private func ids(_ random: inout SeededGenerator) -> [String] {
    let count = Int.random(in: 1...3, using: &random)
    return Array(Set((0..<count).map { _ in "id-\(Int.random(in: 0..<12, using: &random))" }))
      .sorted()
  }

  private func append(
    _ step: Int, to open: OpenStore, _ model: inout Model, _ random: inout SeededGenerator
  ) {
    let ids = ids(&random)
    let values = ids.indices.flatMap { row in
      [Float](repeating: Float(step * 10 + row), count: RealStore.dimension)
    }
    let batch = Batch(ids, dimension: RealStore.dimension, values: values)
    let answer = Monitor<Bool?>(nil)
    open.service.append(batch, to: open.collection, batchID: nil) { outcome in
      answer.change { $0 = (try? outcome.get()) != nil }
    }
    #expect(answer.wait { $0 } == true)
    for (row, id) in ids.enumerated() { model[id] = .some(Float(step * 10 + row)) }
  }

  private func delete(
    from open: OpenStore, _ model: inout Model, _ random: inout SeededGenerator
  ) {
    let ids = ids(&random)
    let answer = Monitor<Deletion?>(nil)
    open.service.delete(list(ids), from: open.collection) { outcome in
      answer.change { $0 = try? outcome.get() }
    }
    let live = ids.filter { (model[$0] ?? nil) != nil }
    #expect(answer.wait { $0 }?.deletedCount == live.count)
    for id in live { model[id] = .some(nil) }
  }

  private func compact(_ open: OpenStore) {
    _ = open.service.compact(open.collection, deadPercent: 0, rate: nil)
    let deadline = MonotonicTime.now.advanced(by: .seconds(30))
    while open.service.compaction(of: open.collection).state != "done", .now < deadline {
      usleep(1000)
    }
    #expect(open.service.compaction(of: open.collection).failure == nil)
  }

  private func list(_ ids: [String]) -> IDList {
    var builder = IDList.Builder()
    for id in ids { try? builder.append(id) }
    return builder.finishWithRepetitions()
  }

  private func compare(_ collection: Collection, _ model: Model, _ place: String) {
    let asked = (0..<13).map { "id-\($0)" }
    // Twice each: the same id may be asked for again.
    let many = IDLookup(collection).find(list(asked + asked))
    for (number, id) in (asked + asked).enumerated() {
      let expected = expectation(model[id])
      #expect(text(collection.find(Array(id.utf8))) == expected, "\(id), \(place)")
      #expect(text(many[number]) == expected, "\(id) among many, \(place)")
    }
    var live = LiveIDs(collection)
    var listed: [String] = []
    while let id = live.next() { listed.append(String(decoding: id, as: UTF8.self)) }
    #expect(listed.sorted() == model.filter { $0.value != nil }.map(\.key).sorted(), "\(place)")
    compareRows(LiveRows(collection), model, place)
  }

  private func compareRows(_ live: LiveRows, _ model: Model, _ place: String) {
    var values: [Float] = []
    for part in live.parts {
      var row = 0
      var count = 0
      while let run = part.run(from: row, countMax: 2) {
        #expect(run.count <= 2 && run.lowerBound >= row)
        count += run.count
        row = run.upperBound
        for one in run {
          #expect(part.isLive(one))
          values.append(value(part.shard, one) ?? .nan)
        }
      }
      #expect(count == part.liveRowCount && part.damagedRowCount == 0)
      #expect(part.deadRowCount == part.rowCount - count)
    }
    #expect(values.sorted() == model.values.compactMap(\.self).sorted(), "\(place)")
    #expect(live.rowCount == values.count)
  }

  private func expectation(_ last: Float??) -> String {
    switch last {
    case nil: "unknown"
    case .some(nil): "deleted"
    case .some(.some(let value)): "\(value)"
    }
  }

  private func text(_ finding: Collection.Finding) -> String {
    switch finding {
    case .row(let shard, let row): value(shard, row).map { "\($0)" } ?? "no row"
    case .damaged: "damaged"
    case .lost: "lost"
    // What a compaction has left nothing of is not known to have been there.
    case .deleted: "deleted"
    case .unknown: "unknown"
    }
  }

  private func value(_ shard: Shard, _ row: Int) -> Float? {
    try? shard.withRows(row..<(row + 1)) { $0.loadUnaligned(as: Float.self) }
  }
}
