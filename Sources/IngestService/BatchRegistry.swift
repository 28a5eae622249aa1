// Exactly once: which batch ids are in flight, and the receipts that the catalog does not have yet.

internal import Synchronization
internal import SystemIO

/// Batch ids between their first arrival and the moment when the catalog knows them.
final class BatchRegistry: Sendable {
  struct Key: Hashable {
    let collection: String
    let batchID: String
  }

  typealias Completion = @Sendable (Result<Commit, IngestError>) -> Void

  private enum Entry {
    /// The follower can be faster than the acknowledgement; then the receipt need not be kept.
    case inFlight(digest: Digest128, waiting: [Completion], isInCatalog: Bool = false)
    case committed(Receipt)
  }

  /// What a batch id means at this moment.
  enum Claim {
    /// Nobody else has it: the caller commits the batch and then calls ``settle(_:_:)``.
    case mine
    /// The same batch is in flight; the completion is called with its outcome.
    case joined
    case replay(Receipt)
    case reused(Receipt?)
  }

  private let entries = Mutex<[Key: Entry]>([:])

  func claim(_ key: Key, digest: Digest128, completion: @escaping Completion) -> Claim {
    entries.withLock { entries in
      switch entries[key] {
      case nil:
        entries[key] = .inFlight(digest: digest, waiting: [])
        return .mine
      case .inFlight(digest, let waiting, let isInCatalog):
        entries[key] = .inFlight(
          digest: digest, waiting: waiting + [completion], isInCatalog: isInCatalog)
        return .joined
      case .inFlight:
        return .reused(nil)
      case .committed(let receipt):
        return receipt.contentDigest == digest ? .replay(receipt) : .reused(receipt)
      }
    }
  }

  /// Ends a flight: keeps the receipt, or forgets a batch that failed.
  ///
  /// - Returns: those who waited for the same batch.
  func settle(_ key: Key, _ receipt: Receipt?) -> [Completion] {
    entries.withLock { entries in
      guard case .inFlight(_, let waiting, let isInCatalog) = entries[key] else { return [] }
      entries[key] = isInCatalog ? nil : receipt.map { .committed($0) }
      return waiting
    }
  }

  /// Keeps a receipt that was found in a log at start.
  func remember(_ receipt: Receipt, collection: String) {
    entries.withLock {
      $0[Key(collection: collection, batchID: receipt.batchID)] = .committed(receipt)
    }
  }

  func receipt(_ key: Key) -> Receipt? {
    entries.withLock { if case .committed(let receipt) = $0[key] { receipt } else { nil } }
  }

  /// Receipts of a collection that the catalog may not have yet.
  func receipts(collection: String) -> [Receipt] {
    entries.withLock { entries in
      entries.compactMap { key, entry in
        guard key.collection == collection, case .committed(let receipt) = entry else {
          return nil
        }
        return receipt
      }
    }
  }

  /// Lets go of receipts that are now in the catalog.
  func forget(_ batchIDs: [String], collection: String) {
    entries.withLock { entries in
      for batchID in batchIDs {
        let key = Key(collection: collection, batchID: batchID)
        switch entries[key] {
        case .committed: entries[key] = nil
        case .inFlight(let digest, let waiting, _):
          entries[key] = .inFlight(digest: digest, waiting: waiting, isInCatalog: true)
        case nil: break
        }
      }
    }
  }

  var count: Int { entries.withLock { $0.count } }
}

/// How a batch came to its receipt.
package struct Commit: Sendable {
  package let receipt: Receipt
  /// The batch had been committed before; nothing was stored now.
  package let isReplay: Bool
}
