// One thread's part of the load: its bodies, and the loop that sends them.

internal import Synchronization
internal import SystemIO

/// Ids that no batch of this run shares with another, nor with an earlier run against the same server.
final class BatchIDs: Sendable {
  private let next: Atomic<Int>

  init() { next = Atomic(Int(MonotonicTime.wallClockNanoseconds / 1000)) }

  /// The first of `rowCount` fresh ids.
  func take(_ rowCount: Int) -> Int {
    next.wrappingAdd(rowCount, ordering: .relaxed).oldValue
  }
}

/// When to stop sending.
struct LoadLimit: Sendable {
  var duration: Duration = .seconds(3600)
  /// Batches of all workers together.
  var batchCountMax = Int.max
}

/// The end of one stretch of load, shared by its workers.
final class LoadStretch: Sendable {
  let start: MonotonicTime
  private let deadline: MonotonicTime
  private let remainingCount: Atomic<Int>

  init(_ limit: LoadLimit, start: MonotonicTime) {
    self.start = start
    deadline = start.advanced(by: limit.duration)
    remainingCount = Atomic(limit.batchCountMax)
  }

  /// Whether one more batch may be sent; it is counted.
  func takeBatch() -> Bool {
    MonotonicTime.now < deadline
      && remainingCount.wrappingSubtract(1, ordering: .relaxed).oldValue > 0
  }
}

/// Sends its own bodies over one connection at a time.
final class LoadWorker: Sendable {
  private let bodies: Mutex<[BenchBody]>
  private let ids: BatchIDs

  /// Several bodies, so that no layer sees the same bytes again while they are still in its cache.
  private static let bodyCount = 4
  /// A refused batch is sent again, as another one, after so long.
  private static let refusalPause = Duration.milliseconds(10)
  /// So many broken connections in a row mean that the server is gone.
  private static let brokenCountMax = 3

  init(_ shape: BenchShape, seed: UInt64, ids: BatchIDs) {
    self.ids = ids
    let firstSeed = seed * UInt64(Self.bodyCount)
    bodies = Mutex((0..<Self.bodyCount).map { BenchBody(shape, seed: firstSeed + UInt64($0)) })
  }

  /// Sends batch after batch until the stretch ends or the server is gone.
  func run(_ stretch: LoadStretch, on target: any BatchTarget, over first: any BatchConnection)
    -> LoadOutcome
  {
    var connection = first
    return bodies.withLock { bodies in
      var outcome = LoadOutcome()
      var brokenCount = 0
      var turn = 0
      while brokenCount < Self.brokenCountMax, stretch.takeBatch() {
        bodies[turn].setIDs(from: ids.take(bodies[turn].rowCount))
        let sent = MonotonicTime.now
        let answer = connection.exchange(bodies[turn])
        outcome.count(answer, sent: sent, answered: .now, since: stretch.start)
        turn = (turn + 1) % bodies.count
        if case .broken = answer { brokenCount += 1 } else { brokenCount = 0 }
        if case .other = answer { BenchClock.sleep(Self.refusalPause) }
        if !connection.isUsable {
          guard let next = try? target.connect() else {
            outcome.count(.broken(reason: "connection refused"))
            return outcome
          }
          connection = next
        }
      }
      return outcome
    }
  }

  /// The bodies as they are now, for what is measured without a server.
  func copyBodies() -> [BenchBody] { bodies.withLock { $0 } }
}
