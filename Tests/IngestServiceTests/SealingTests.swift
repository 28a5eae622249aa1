// Shards are sealed behind the batches that arrive meanwhile, and lose none of them.

import IngestService
import ShardStore
import SystemIO
import Testing

@Suite struct SealingTests {
  @Test func keepsEveryRowWhenManyShardsAreFilledAtOnce() throws {
    let store = RealStore()
    let open = try store.open()
    let answers = Monitor<[Receipt]>([])
    let batchCount = 300

    // Nobody waits: shards of four rows are written, synced and sealed at the same time.
    for number in 0..<batchCount {
      open.service.append(
        OpenStore.batch(number, rowCount: 3), to: open.collection, batchID: "batch-\(number)"
      ) { outcome in
        answers.change { $0 += (try? outcome.get().receipt).map { [$0] } ?? [] }
      }
    }
    answers.wait(until: .now.advanced(by: .seconds(60))) { $0.count == batchCount ? () : nil }
    open.close()

    #expect(answers.withLock { $0.count } == batchCount)
    let verification = try store.verify()
    #expect(verification.damage == [])
    #expect(verification.rowCount == batchCount * 3)
  }
}
