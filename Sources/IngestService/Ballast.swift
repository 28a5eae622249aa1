// Room that is kept for what has to be written when the disk is full: the catalog, the seals, deletions.
// Given back and taken again with the free space; the space itself: Admission.swift.

internal import Logging
internal import ShardStore
internal import Synchronization
internal import SystemIO

/// A file of reserved blocks in the store that is removed when others took the last free byte.
final class Ballast: Sendable {
  private let disk: any Disk
  private let layout: StoreLayout
  private let admission: Admission
  private let logger: Logger
  private let byteCount: Int
  private let state = Mutex(State())

  private struct State {
    var isHeld = false
    var releaseCount = 0
  }

  /// Enough for the catalog's log and several seals.
  private static let byteCountMax = 16 << 20

  /// - Parameter reserveByteCount: Without a reserve there is no ballast either.
  init(
    disk: any Disk, layout: StoreLayout, admission: Admission, reserveByteCount: Int, logger: Logger
  ) {
    self.disk = disk
    self.layout = layout
    self.admission = admission
    self.logger = logger
    byteCount = min(Self.byteCountMax, reserveByteCount / 4)
  }

  /// Takes the room when the disk has as much to spare. Where blocks cannot be reserved there is no ballast.
  func restore() {
    guard byteCount > 0, !state.withLock({ $0.isHeld }), let space = admission.space,
      !admission.isReserveReached(space, neededByteCount: byteCount)
    else { return }
    do throws(DiskError) {
      let path = layout.ballastFile
      if try disk.kind(of: path) != nil { try disk.removeFile(path) }
      try disk.createFile(path).allocate(offset: 0, byteCount: byteCount)
      state.withLock { $0.isHeld = true }
    } catch {
      try? disk.removeFile(layout.ballastFile)
    }
  }

  /// Gives the room to a write that failed, when it is the room that was missing.
  ///
  /// - Returns: whether the write is worth another try.
  func release() -> Bool {
    guard let space = admission.space, space.freeByteCount < byteCount else { return false }
    // Whoever comes second waits until the room is there.
    return state.withLock { state in
      guard state.isHeld else { return false }
      state.isHeld = false
      do throws(DiskError) {
        try disk.removeFile(layout.ballastFile)
      } catch {
        return false
      }
      state.releaseCount += 1
      logger.warning("the disk is full: \(byteCount) bytes of ballast are used up")
      return true
    }
  }

  /// How often the room was given: a write that failed meanwhile is worth another try, whoever it was given to.
  var releaseCount: Int { state.withLock { $0.releaseCount } }

  /// At a clean stop nothing of it is left.
  func remove() {
    if state.withLock({ $0.isHeld }) { try? disk.removeFile(layout.ballastFile) }
  }
}
