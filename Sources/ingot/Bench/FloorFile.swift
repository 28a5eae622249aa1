// The file of the bare server, and its group sync. What the sockets do: FloorServer.swift.

internal import Synchronization
internal import SystemIO

/// One file, preallocated in steps: ranges are handed out in order, written by many threads, synced by one.
///
/// Every byte is written to space that was never written before, as a store's rows are. A file that is
/// written again from its start is about twice as fast here: its extents and its cached pages are there.
final class FloorFile: Sendable {
  private let file: any DiskFile
  private let space = Mutex(Space())
  /// Batches written, and batches known to be durable. Two monitors, so that a write wakes only the
  /// syncing thread.
  private let writtenCount = Monitor(0)
  private let durableCount = Monitor<Result<Int, DiskError>>(.success(0))

  private struct Space {
    var nextOffset = 0
    var allocatedByteCount = 0
  }

  private static let stepByteCount = 1 << 30

  init(path: String) throws(DiskError) {
    file = try RealDisk().createFile(path)
    _ = try reserve(byteCount: 0)
    try file.sync()
  }

  /// Writes one batch and returns when it is durable.
  func store(_ bytes: UnsafeRawBufferPointer) throws(DiskError) {
    let offset = try reserve(byteCount: bytes.count)
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

  /// The next range, in space that is preallocated.
  private func reserve(byteCount: Int) throws(DiskError) -> Int {
    try space.withLock { space throws(DiskError) in
      let offset = space.nextOffset
      while offset + byteCount >= space.allocatedByteCount {
        try file.allocate(offset: space.allocatedByteCount, byteCount: Self.stepByteCount)
        space.allocatedByteCount += Self.stepByteCount
      }
      space.nextOffset += byteCount
      return offset
    }
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
