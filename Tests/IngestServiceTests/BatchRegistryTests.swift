// Promise P3 while batches are in flight: who commits, who joins, who gets the receipt.

import Catalog
import Synchronization
import SystemIO
import Testing

@testable import IngestService

@Suite struct BatchRegistryTests {
  private let key = BatchRegistry.Key(collection: "c", batchID: "b")
  private let digest = Digest128(high: 1, low: 2)
  private let other = Digest128(high: 1, low: 3)

  private func receipt(_ digest: Digest128, batchID: String = "b") -> Receipt {
    let batch = CatalogBatch(
      sequence: 7, kind: .batch, batchID: batchID, shard: 4, firstRow: 3, rowCount: 2,
      rowsCRC32C: 5,
      contentDigest: digest.bytes, bodySHA256: nil, committedAt: 9, ids: [])
    return Receipt(batch, collection: "c")
  }

  private func name(_ claim: BatchRegistry.Claim) -> String {
    switch claim {
    case .mine: "mine"
    case .joined: "joined"
    case .replay: "replay"
    case .reused: "reused"
    }
  }

  @Test func givesABatchToOneOfManyThreadsAndOneReceiptToAll() {
    let registry = BatchRegistry()
    let answers = Mutex<[Receipt]>([])
    let claims = Mutex<[String]>([])
    let threads = (0..<33).map { number in
      NamedThread("claim-\(number)") { [name, key, digest] in
        let claim = registry.claim(key, digest: digest) { outcome in
          if let commit = try? outcome.get() { answers.withLock { $0.append(commit.receipt) } }
        }
        claims.withLock { $0.append(name(claim)) }
      }
    }
    for thread in threads { thread.join() }

    let expected = receipt(digest)
    for completion in registry.settle(key, expected) {
      completion(.success(Commit(receipt: expected, isReplay: true)))
    }

    #expect(claims.withLock { $0.sorted() } == [String](repeating: "joined", count: 32) + ["mine"])
    #expect(answers.withLock { $0 } == [Receipt](repeating: expected, count: 32))
    #expect(name(registry.claim(key, digest: digest) { _ in }) == "replay")
  }

  @Test func refusesAKeyThatStandsForOtherBytes() {
    let registry = BatchRegistry()
    _ = registry.claim(key, digest: digest) { _ in }
    let inFlight = registry.claim(key, digest: other) { _ in }
    _ = registry.settle(key, receipt(digest))
    let committed = registry.claim(key, digest: other) { _ in }

    #expect(name(inFlight) == "reused")
    guard case .reused(let found) = committed else { return #expect(Bool(false)) }
    #expect(found == receipt(digest))
  }

  @Test func forgetsABatchThatFailed() {
    let registry = BatchRegistry()
    _ = registry.claim(key, digest: digest) { _ in }

    _ = registry.settle(key, nil)

    #expect(registry.count == 0)
    #expect(name(registry.claim(key, digest: other) { _ in }) == "mine")
  }

  @Test func keepsNothingWhenTheFollowerIsFasterThanTheAcknowledgement() {
    let registry = BatchRegistry()
    let answered = Mutex(0)
    _ = registry.claim(key, digest: digest) { _ in }
    _ = registry.claim(key, digest: digest) { _ in answered.withLock { $0 += 1 } }

    registry.forget(["b"], collection: "c")
    let late = registry.claim(key, digest: digest) { _ in answered.withLock { $0 += 1 } }
    for completion in registry.settle(key, receipt(digest)) { completion(.failure(.draining)) }

    #expect(name(late) == "joined")
    #expect(answered.withLock { $0 } == 2)
    #expect(registry.count == 0)
    #expect(registry.receipt(key) == nil)
  }

  @Test func forgetsCommittedReceiptsOfOneCollectionOnly() {
    let registry = BatchRegistry()
    registry.remember(receipt(digest), collection: "c")
    registry.remember(receipt(digest), collection: "d")

    registry.forget(["b", "unknown"], collection: "c")

    #expect(registry.receipts(collection: "c") == [])
    #expect(registry.receipts(collection: "d") == [receipt(digest)])
  }
}
