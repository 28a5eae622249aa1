// What a disk holds after the power went: everything synced, and any part of what was not.

internal import Synchronization

/// Walks through a trace and makes disks as they could be after a power cut at that point.
package struct PowerCut {
  private let trace: [SimulatedDisk.Event]
  /// How many events of the trace have happened.
  package private(set) var position = 0
  private var durable: [Int: SimulatedDisk.Node]
  private var unsynced: [Unsynced] = []
  private let nodeEnd: Int

  /// A change that may or may not be on the disk.
  private struct Unsynced {
    let position: Int
    let event: SimulatedDisk.Event
    /// Given up by a sync that failed: only the writing of the same page again brings it to the disk.
    var isGivenUp = false
  }

  /// The unit in which bytes reach the disk: 512 for sectors, 4096 for pages.
  package let blockByteCount: Int
  private static let pageByteCount = 4096

  /// The changes that may or may not have reached the disk, in the smallest units in which they can.
  package private(set) var pieces: [SimulatedDisk.Event] = []

  package init(_ disk: SimulatedDisk, blockByteCount: Int) {
    let (trace, nodeEnd) = disk.state.withLock { ($0.trace, $0.nextNode) }
    self.trace = trace
    self.nodeEnd = nodeEnd
    self.blockByteCount = blockByteCount
    durable = disk.initialNodes
  }

  package var isAtEnd: Bool { position == trace.count }

  /// What happens next; nil at the end.
  package var next: SimulatedDisk.Event? { isAtEnd ? nil : trace[position] }

  /// Lets the next event happen.
  ///
  /// - Returns: the number of a note, when the event was one.
  package mutating func advance() -> Int? {
    let event = trace[position]
    defer { position += 1 }
    switch event {
    case .note(let number):
      decayNoted()
      return number
    case .syncFile(let node, let before): settleFile(node, before)
    case .syncDirectory(let node, let before):
      settle { $0.position < before && $0.event.directories.contains(node) }
    case .syncFailed(let node, let before): giveUp(node, before)
    case .decay: event.apply(to: &durable)
    default:
      unsynced.append(Unsynced(position: position, event: event))
      pieces += event.pieces(of: blockByteCount)
    }
    return nil
  }

  /// A bit that decays does so in the moment in which it is noted.
  private mutating func decayNoted() {
    guard position + 1 < trace.count, case .decay = trace[position + 1] else { return }
    position += 1
    trace[position].apply(to: &durable)
  }

  /// Lets everything happen.
  package mutating func advanceToEnd() { while !isAtEnd { _ = advance() } }

  private mutating func settle(_ isSynced: (Unsynced) -> Bool) {
    for change in unsynced where isSynced(change) { change.event.apply(to: &durable) }
    unsynced.removeAll(where: isSynced)
    pieces = unsynced.flatMap { $0.event.pieces(of: blockByteCount) }
  }

  private mutating func settleFile(_ node: Int, _ before: Int) {
    let covered = unsynced.filter { $0.event.file == node && $0.position < before }
    let pages = Set(
      covered.filter { !$0.isGivenUp }.flatMap { $0.event.pages(of: Self.pageByteCount) })
    settle { change in
      guard change.event.file == node, change.position < before else { return false }
      guard change.isGivenUp, let page = change.event.pages(of: Self.pageByteCount).first else {
        return true
      }
      // What was cut off afterwards is not there, whether it was written or not.
      let isCut = covered.contains {
        $0.position > change.position
          && $0.event.size ?? .max <= page * Self.pageByteCount
      }
      return isCut || pages.contains(page)
    }
  }

  /// What had been written since the last sync and is only in the page cache stays there until the power goes.
  private mutating func giveUp(_ node: Int, _ before: Int) {
    unsynced = unsynced.flatMap { change -> [Unsynced] in
      guard case .write(node, _, _) = change.event, change.position < before else {
        return [change]
      }
      return change.event.pieces(of: Self.pageByteCount).map {
        Unsynced(position: change.position, event: $0, isGivenUp: true)
      }
    }
    pieces = unsynced.flatMap { $0.event.pieces(of: blockByteCount) }
  }

  /// A disk on which only some pieces arrived.
  package func disk(keeping isKept: (_ piece: Int) -> Bool) -> SimulatedDisk {
    var nodes = durable
    for (index, piece) in pieces.enumerated() where isKept(index) { piece.apply(to: &nodes) }
    return SimulatedDisk(nodes: nodes, nextNode: nodeEnd)
  }
}

extension SimulatedDisk.Event {
  /// Whether this changes bytes; else it changes names or a size.
  package var isWrite: Bool { if case .write = self { true } else { false } }

  /// The file whose bytes or size this changes.
  fileprivate var file: Int? {
    switch self {
    case .write(let node, _, _), .resize(let node, _): node
    default: nil
    }
  }

  fileprivate var size: Int? {
    if case .resize(_, let byteCount) = self { byteCount } else { nil }
  }

  /// The directories whose names this changes.
  fileprivate var directories: [Int] {
    switch self {
    case .link(let directory, _, _, _), .unlink(let directory, _): [directory]
    case .rename(let from, _, let to, _), .exchange(let from, _, let to, _): [from, to]
    default: []
    }
  }

  /// The pages that a write touches.
  fileprivate func pages(of pageByteCount: Int) -> Range<Int> {
    guard case .write(_, let offset, let bytes) = self else { return 0..<0 }
    return (offset / pageByteCount)..<((offset + bytes.count - 1) / pageByteCount + 1)
  }

  /// A write in pieces that do not cross a block's border; anything else as it is.
  fileprivate func pieces(of blockByteCount: Int) -> [SimulatedDisk.Event] {
    guard case .write(let node, let offset, let bytes) = self else { return [self] }
    var pieces: [SimulatedDisk.Event] = []
    var start = 0
    while start < bytes.count {
      let blockEnd = ((offset + start) / blockByteCount + 1) * blockByteCount - offset
      let end = min(bytes.count, blockEnd)
      pieces.append(.write(node: node, offset: offset + start, bytes: Array(bytes[start..<end])))
      start = end
    }
    return pieces
  }
}
