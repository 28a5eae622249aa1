// Threads for work that would hold up an event loop: large bodies, text bodies, reads of many rows.

internal import Synchronization
internal import SystemIO

/// Runs closures in the order of their arrival. What waits is bounded by the bytes in flight.
final class WorkerThreads: Sendable {
  private let queue = Monitor(Queue())
  private let threads = Mutex<[NamedThread]>([])

  private struct Queue {
    var work: [@Sendable () -> Void] = []
    var isClosed = false
  }

  init(count: Int) {
    let queue = queue
    threads.withLock {
      $0 = (0..<max(1, count)).map { number in
        NamedThread("ingot-work-\(number)") { Self.run(queue) }
      }
    }
  }

  func run(_ work: @escaping @Sendable () -> Void) { queue.change { $0.work.append(work) } }

  /// Does what waits, then ends the threads.
  func close() {
    queue.change { $0.isClosed = true }
    for thread in threads.withLock({ $0 }) { thread.join() }
  }

  private static func run(_ queue: Monitor<Queue>) {
    while true {
      let next = queue.wait { queue -> (@Sendable () -> Void)?? in
        if !queue.work.isEmpty { return queue.work.removeFirst() }
        return queue.isClosed ? .some(nil) : nil
      }
      guard let next, let work = next else { return }
      work()
    }
  }
}
