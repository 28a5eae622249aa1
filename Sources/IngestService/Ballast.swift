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
  private let isHeld = Mutex(false)

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
    guard byteCount > 0, !isHeld.withLock({ $0 }), let space = admission.space,
      !admission.isReserveReached(space, neededByteCount: byteCount)
    else { return }
    do throws(DiskError) {
      let path = layout.ballastFile
      if try disk.kind(of: path) != nil { try disk.removeFile(path) }
      try disk.createFile(path).allocate(offset: 0, byteCount: byteCount)
      isHeld.withLock { $0 = true }
    } catch {
      try? disk.removeFile(layout.ballastFile)
    }
  }

  /// Gives the room to a write that failed, when it is the room that was missing.
  ///
  /// - Returns: whether the write is worth another try.
  func release() -> Bool {
    guard let space = admission.space, space.freeByteCount < byteCount else { return false }
    let wasHeld = isHeld.withLock { isHeld in
      defer { isHeld = false }
      return isHeld
    }
    guard wasHeld else { return false }
    do throws(DiskError) {
      try disk.removeFile(layout.ballastFile)
      logger.warning("the disk is full: \(byteCount) bytes of ballast are used up")
      return true
    } catch {
      return false
    }
  }

  /// At a clean stop nothing of it is left.
  func remove() {
    if isHeld.withLock({ $0 }) { try? disk.removeFile(layout.ballastFile) }
  }
}
