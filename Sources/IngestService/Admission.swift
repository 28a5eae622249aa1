// Who may send a body: bounded by bytes in flight and by the disk reserve, before the body is read.

internal import Synchronization
package import SystemIO

/// Counts bytes in flight and watches the free space.
package final class Admission: Sendable {
  private let configuration: ServiceConfiguration
  private let disk: any Disk
  private let root: String
  private let state = Mutex(State())

  private struct State {
    var inFlightByteCount = 0
    /// Of the last body that was admitted to be stored: the next is taken to be alike.
    var lastByteCount = 0
    var isReserveReached = false
    /// A write that found no room, although the reserve was not reached.
    var full: Full?

    /// What was full is tried again once there is more room than then. Where there was plenty, a quota or a limit was
    /// in the way, and only a write tells.
    mutating func forgetFull(_ space: DiskSpace?) {
      guard let full, let space else { return }
      let hasBytes =
        full.freeByteCount < full.neededByteCount + Admission.plentyByteCount
        && space.freeByteCount > full.freeByteCount + Admission.recoveredByteCountMin
      let hasInodes = full.freeInodeCount == 0 && space.freeInodeCount != 0
      if hasBytes || hasInodes { self.full = nil }
    }
  }

  private struct Full {
    let neededByteCount: Int
    let freeByteCount: Int
    let freeInodeCount: Int?
  }

  /// More than this has to become free before a disk that was found full is tried again.
  private static let recoveredByteCountMin = 64 << 10
  /// With so much more than was needed, it was not the free space that was missing.
  private static let plentyByteCount = 64 << 20

  package init(configuration: ServiceConfiguration, disk: any Disk, root: String) {
    self.configuration = configuration
    self.disk = disk
    self.root = root
  }

  /// Bytes in flight that were admitted; given back when this goes away.
  package final class Permit: Sendable {
    private let admission: Admission
    private let byteCount: Mutex<Int>

    fileprivate init(_ admission: Admission, byteCount: Int) {
      self.admission = admission
      self.byteCount = Mutex(byteCount)
    }

    /// Asks for more, for a body whose length was not declared or which grows when it is inflated.
    package func grow(by more: Int) -> Bool {
      guard admission.take(more) else { return false }
      byteCount.withLock { $0 += more }
      return true
    }

    /// All bytes that may be in flight.
    package var limit: Int { admission.configuration.inFlightByteCountMax }

    deinit {
      let count = byteCount.withLock { $0 }
      admission.state.withLock { $0.inFlightByteCount -= count }
    }
  }

  /// Admits a body of a declared length, or a first piece of one.
  ///
  /// - Parameter passesReserve: A full disk does not matter: nothing is stored, or room is given back.
  package func admit(byteCount: Int, passesReserve: Bool = false) throws(IngestError) -> Permit {
    if !passesReserve {
      try refuseWhenFull(byteCount)
      state.withLock { $0.lastByteCount = byteCount }
    }
    guard take(byteCount) else {
      throw .inFlightLimit(byteCountMax: configuration.inFlightByteCountMax)
    }
    return Permit(self, byteCount: byteCount)
  }

  /// A write found no room: until more is free, nobody needs to send a body to learn that.
  func recordFull(neededByteCount: Int) {
    let space = self.space
    state.withLock {
      $0.full = Full(
        neededByteCount: neededByteCount, freeByteCount: space?.freeByteCount ?? 0,
        freeInodeCount: space?.freeInodeCount)
    }
  }

  /// A write of as much as was needed before found room. It may have been a quota that was in the way, or a limit
  /// on the size of files, of which the free space says nothing.
  func recordRoom() { state.withLock { $0.full = nil } }

  /// How much a write needed that found no room; nil when none did, or when there is more room since.
  var foundFull: Int? {
    let space = self.space
    return state.withLock { state in
      state.forgetFull(space)
      return state.full?.neededByteCount
    }
  }

  private func refuseWhenFull(_ byteCount: Int) throws(IngestError) {
    let space = self.space
    guard isReserveReached(space, neededByteCount: byteCount) else { return }
    throw .diskFull(
      neededByteCount: byteCount + configuration.diskReserveByteCount,
      freeByteCount: space?.freeByteCount ?? 0,
      reason: space?.freeInodeCount == 0 ? "inodes" : "reserve")
  }

  private func take(_ byteCount: Int) -> Bool {
    state.withLock { state in
      guard state.inFlightByteCount + byteCount <= configuration.inFlightByteCountMax else {
        return false
      }
      state.inFlightByteCount += byteCount
      return true
    }
  }

  package var inFlightByteCount: Int { state.withLock { $0.inFlightByteCount } }

  package var space: DiskSpace? { try? disk.space(at: root) }

  /// Whether a body like the last one would be refused for want of room.
  package var isFull: Bool {
    isReserveReached(space, neededByteCount: state.withLock { $0.lastByteCount })
  }

  /// Whether the free space is below the reserve; with hysteresis, so that it does not flicker.
  package func isReserveReached(_ space: DiskSpace?, neededByteCount: Int = 0) -> Bool {
    guard let space else { return false }
    return state.withLock { state in
      state.forgetFull(space)
      if state.full != nil { return true }
      // What is needed does not count here: one large body that does not fit does not stop the small ones.
      state.isReserveReached =
        space.freeByteCount
        < (state.isReserveReached
          ? configuration.diskResumeByteCount : configuration.diskReserveByteCount)
      let threshold =
        state.isReserveReached
        ? configuration.diskResumeByteCount : configuration.diskReserveByteCount
      let free = space.freeByteCount - neededByteCount
      return free < threshold || space.freeInodeCount == 0
    }
  }
}
