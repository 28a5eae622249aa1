// Deleting ids: a commit without rows, durable like a batch, allowed when the disk reserve is reached.

package import ShardStore
internal import SystemIO

/// What became of ids that were to be deleted.
package struct Deletion: Sendable {
  /// Of the commit; nil when nothing had to be deleted.
  package let receipt: Receipt?
  package let deletedCount: Int
  /// Ids of which nothing was stored, or nothing any more.
  package let unknown: [String]
}

extension IngestService {
  /// Deletes ids; those of which nothing is stored are left out. More than one are looked up on the caller's thread.
  ///
  /// - Parameters:
  ///   - ids: none twice.
  ///   - completion: Called once, from any thread, after the deletion is durable or refused.
  package func delete(
    _ ids: IDList, from collection: Collection,
    completion: @escaping @Sendable (Result<Deletion, IngestError>) -> Void
  ) {
    var stored: [Int] = []
    var unknown: [String] = []
    // A look-up of many begins with a pass over all ids that are in memory; one id does not need it.
    let findings =
      ids.count == 1 ? [collection.find(Array(ids[0]))] : IDLookup(collection).find(ids)
    for (number, finding) in findings.enumerated() {
      switch finding {
      case .row, .damaged, .lost: stored.append(number)
      case .deleted, .unknown: unknown.append(ids.string(number))
      }
    }
    let (count, others) = (stored.count, unknown)
    guard count > 0 else {
      completion(.success(Deletion(receipt: nil, deletedCount: 0, unknown: others)))
      return
    }
    let batch = Batch(
      deletionOf: ids.selecting(stored), dimension: collection.dimension, dtype: collection.dtype)
    append(batch, to: collection, batchID: nil) { outcome in
      completion(
        outcome.map { Deletion(receipt: $0.receipt, deletedCount: count, unknown: others) })
    }
  }
}
