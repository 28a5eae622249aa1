// The file of the bare server, and its group sync. What the sockets do: FloorServer.swift.

internal import Synchronization
internal import SystemIO

/// One preallocated file: ranges are handed out in order, written by many threads, synced by one.
final class FloorFile: Sendable {
  private let file: any DiskFile
  private let nextOffset = Mutex(0)
  /// Batches written, and batches known to be durable. Two monitors, so that a write wakes only the
  /// syncing thread.
  private let writtenCount = Monitor(0)
  private let durableCount = Monitor<Result<Int, DiskError>>(.success(0))

  /// When so much is written, writing starts over at the front.
  static let byteCount = 1 << 30

  init(path: String) throws(DiskError) {
    file = try RealDisk().createFile(path)
    try file.allocate(offset: 0, byteCount: Self.byteCount)
    try file.sync()
  }

  /// Writes one batch and returns when it is durable.
  func store(_ bytes: UnsafeRawBufferPointer) throws(DiskError) {
    let offset = nextOffset.withLock { next in
      let offset = next + bytes.count > Self.byteCount ? 0 : next
      next = offset + bytes.count
      return offset
    }
    try unsafe file.write(bytes, at: offset)
    let ticket = writtenCount.change { count in
      count += 1
      return count
    }
    let outcome = durableCount.wait { durable -> Result<Int, DiskError>? in
      if case .success(let count) = durable, count < ticket { return nil }
      return durable
    }
    if case .failure(let error) = outcome { throw error }
  }

  /// Syncs whatever is waiting, again and again.
  ///
  /// - Returns: When a sync fails; everybody who waits then fails too.
  func syncGroups() {
    var synced = 0
    while true {
      let goal = writtenCount.wait { [synced] count in count > synced ? count : nil } ?? synced
      do throws(DiskError) {
        try file.sync()
      } catch {
        durableCount.change { $0 = .failure(error) }
        return
      }
      synced = goal
      durableCount.change { $0 = .success(goal) }
    }
  }
}
