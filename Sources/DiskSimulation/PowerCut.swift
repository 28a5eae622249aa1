// What a disk holds after the power went: everything synced, and any part of what was not.

internal import Synchronization

/// Walks through a trace and makes disks as they could be after a power cut at that point.
package struct PowerCut {
  private let trace: [SimulatedDisk.Event]
  /// How many events of the trace have happened.
  package private(set) var position = 0
  private var durable: [Int: SimulatedDisk.Node]
  private var unsynced: [SimulatedDisk.Event] = []
  private let nodeEnd: Int

  /// The unit in which bytes reach the disk: 512 for sectors, 4096 for pages.
  package let blockByteCount: Int

  package init(_ disk: SimulatedDisk, blockByteCount: Int) {
    let (trace, nodeEnd) = disk.state.withLock { ($0.trace, $0.nextNode) }
    self.trace = trace
    self.nodeEnd = nodeEnd
    self.blockByteCount = blockByteCount
    durable = disk.initialNodes
  }

  package var isAtEnd: Bool { position == trace.count }

  /// Lets the next event happen.
  ///
  /// - Returns: the number of a note, when the event was one.
  package mutating func advance() -> Int? {
    let event = trace[position]
    position += 1
    switch event {
    case .note(let number): return number
    case .syncFile(let node): settle { $0.file == node }
    case .syncDirectory(let node): settle { $0.directories.contains(node) }
    default: unsynced.append(event)
    }
    return nil
  }

  private mutating func settle(_ isSynced: (SimulatedDisk.Event) -> Bool) {
    for event in unsynced where isSynced(event) { event.apply(to: &durable) }
    unsynced.removeAll(where: isSynced)
  }

  /// The changes that may or may not have reached the disk, in the smallest units in which they can.
  package var pieces: [SimulatedDisk.Event] {
    unsynced.flatMap { event -> [SimulatedDisk.Event] in
      guard case .write(let node, let offset, let bytes) = event else { return [event] }
      var pieces: [SimulatedDisk.Event] = []
      var start = 0
      while start < bytes.count {
        let blockEnd = ((offset + start) / blockByteCount + 1) * blockByteCount - offset
        let end = min(bytes.count, blockEnd)
        pieces.append(
          .write(node: node, offset: offset + start, bytes: Array(bytes[start..<end])))
        start = end
      }
      return pieces
    }
  }

  /// A disk on which only some pieces arrived.
  package func disk(keeping isKept: (_ piece: Int) -> Bool) -> SimulatedDisk {
    var nodes = durable
    for (index, piece) in pieces.enumerated() where isKept(index) { piece.apply(to: &nodes) }
    return SimulatedDisk(nodes: nodes, nextNode: nodeEnd)
  }
}

extension SimulatedDisk.Event {
  /// The file whose bytes or size this changes.
  fileprivate var file: Int? {
    switch self {
    case .write(let node, _, _), .resize(let node, _): node
    default: nil
    }
  }

  /// The directories whose names this changes.
  fileprivate var directories: [Int] {
    switch self {
    case .link(let directory, _, _, _), .unlink(let directory, _): [directory]
    case .rename(let from, _, let to, _), .exchange(let from, _, let to, _): [from, to]
    default: []
    }
  }
}
