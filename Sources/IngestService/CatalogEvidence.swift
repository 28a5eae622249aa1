// What the catalog has seen of one collection, as far as it can be believed. Used at start by Collection+Open.swift.

internal import Catalog
internal import ShardStore

package struct CatalogEvidence: Sendable {
  /// The shards whose logs the catalog has read.
  package private(set) var shards: Set<Int> = []
  /// Of the last batch.
  package private(set) var sequence = 0
  private var committedRowCount: @Sendable (_ shard: Int) -> Int? = { _ in nil }

  /// There is no catalog.
  package init() {}

  package init(rowCounts: [Int: Int], sequence: Int) {
    shards = Set(rowCounts.keys)
    self.sequence = sequence
    committedRowCount = { rowCounts[$0] }
  }

  /// - Throws: when the catalog has values that it was never given.
  init(_ catalog: any CatalogReader, collection: String) throws {
    let positions = try catalog.positions(collection: collection)
      .filter { $0.key <= ShardIdentity.numberMax }
    shards = Set(positions.keys)
    sequence = try catalog.lastSequence(collection: collection) ?? 0
    committedRowCount = { number in
      guard let position = positions[number],
        let batches = try? catalog.rowCount(collection: collection, shard: number)
      else { return nil }
      return min(position.rowCount, batches)
    }
  }

  /// Rows of a shard that were committed: what its position and its batches both say, since a number that is damaged
  /// and too large would make rows that never were count as lost. Nil when the catalog has no batch of it.
  func rowCount(ofShard number: Int) -> Int? { committedRowCount(number) }
}
