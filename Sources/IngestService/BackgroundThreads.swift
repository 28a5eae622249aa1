// What happens after the acknowledgement: following the logs, and sealing full shards.

internal import Synchronization
internal import SystemIO

/// Owns the follower and the sealer's thread.
final class BackgroundThreads: Sendable {
  private let follower = Mutex<CatalogFollower?>(nil)
  private let sealer = Monitor(Sealer())
  private let sealerThread = Mutex<NamedThread?>(nil)

  private struct Sealer {
    var hasWork = false
    var isClosed = false
  }

  func startFollower(_ follower: CatalogFollower) {
    follower.start()
    self.follower.withLock { $0 = follower }
  }

  func wakeFollower() { follower.withLock { $0?.wake() } }

  /// Why the catalog does not follow; nil when it does.
  var followerProblem: String? { follower.withLock { $0 }?.problem }

  func startSealer(_ seal: @escaping @Sendable () -> Void) {
    let thread = NamedThread("ingot-seal", isBackground: true) { [sealer] in
      while true {
        let next = sealer.wait { sealer -> Sealer? in
          guard sealer.hasWork || sealer.isClosed else { return nil }
          defer { sealer.hasWork = false }
          return sealer
        }
        // What is full is sealed before the end.
        if next?.hasWork == true { seal() }
        if next?.isClosed == true { return }
      }
    }
    sealerThread.withLock { $0 = thread }
  }

  func wakeSealer() { sealer.change { $0.hasWork = true } }

  /// Ends the threads; the catalog catches up first.
  func close() {
    follower.withLock { $0.take() }?.close()
    sealer.change { $0.isClosed = true }
    sealerThread.withLock { $0.take() }?.join()
  }
}
