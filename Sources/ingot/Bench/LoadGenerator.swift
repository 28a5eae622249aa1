// The load: one thread and one blocking connection per worker.

internal import Glibc
internal import Synchronization
internal import SystemIO

/// Drives a server with batches of one shape.
final class LoadGenerator: Sendable {
  let shape: BenchShape
  private let workers: [LoadWorker]

  /// Builds all bodies, which takes a while for text.
  init(_ shape: BenchShape, connectionCount: Int, ids: BatchIDs) {
    self.shape = shape
    let built = Monitor<[LoadWorker]>([])
    let threads = (0..<connectionCount).map { index in
      NamedThread("bench-build") {
        let worker = LoadWorker(shape, seed: UInt64(index), ids: ids)
        built.change { $0.append(worker) }
      }
    }
    for thread in threads { thread.join() }
    workers = built.withLock { $0 }
  }

  /// Sends batches over all connections at once.
  ///
  /// - Throws: When a first connection cannot be made. What goes wrong later is counted.
  func run(_ limit: LoadLimit, on target: any BatchTarget) throws(BenchError) -> LoadOutcome {
    var connections: [any BatchConnection] = []
    for _ in workers { connections.append(try target.connect()) }
    let total = Monitor(LoadOutcome())
    let stretch = LoadStretch(limit, start: .now)
    let threads = zip(workers, connections).map { worker, connection in
      NamedThread("bench-load") {
        let outcome = worker.run(stretch, on: target, over: connection)
        total.change { $0.merge(outcome) }
      }
    }
    for thread in threads { thread.join() }
    return total.withLock { $0 }
  }

  /// Some bodies of this shape.
  func copyBodies() -> [BenchBody] { workers.first?.copyBodies() ?? [] }
}

enum BenchClock {
  static func sleep(_ duration: Duration) { usleep(UInt32(clamping: duration.nanoseconds / 1000)) }
}
