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

  /// Before a shard that could not be sealed, for want of room, is tried again.
  private static let sealDelay = Duration.seconds(10)

  /// - Parameter seal: Seals what is full; false when some of it could not be sealed.
  func startSealer(_ seal: @escaping @Sendable () -> Bool) {
    let thread = NamedThread("ingot-seal", isBackground: true) { [sealer] in
      var isSealed = true
      while true {
        let until = isSealed ? nil : MonotonicTime.now.advanced(by: Self.sealDelay)
        let next = sealer.wait(until: until) { sealer -> Sealer? in
          guard sealer.hasWork || sealer.isClosed else { return nil }
          defer { sealer.hasWork = false }
          return sealer
        }
        // What is full is sealed before the end.
        if next?.isClosed != true || next?.hasWork == true { isSealed = seal() }
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
