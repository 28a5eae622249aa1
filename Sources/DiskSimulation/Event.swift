// What the simulated disk writes down: every change, every sync, and the notes of the test.

extension SimulatedDisk {
  /// One entry of a trace. Nodes are numbers that stand for a file or directory.
  package enum Event: Sendable {
    case write(node: Int, offset: Int, bytes: [UInt8])
    case resize(node: Int, byteCount: Int)
    case link(directory: Int, name: String, node: Int, content: Node)
    case rename(from: Int, name: String, to: Int, newName: String)
    case exchange(from: Int, name: String, to: Int, otherName: String)
    case unlink(directory: Int, name: String)
    /// What changed before event number `before` is durable: what came while the sync ran may not be.
    case syncFile(Int, before: Int)
    case syncDirectory(Int, before: Int)
    /// The kernel gave up what it had not written. No later sync writes it, and none tells.
    case syncFailed(Int, before: Int)
    /// A bit that changed on the disk itself.
    case decay(node: Int, bit: Int)
    case note(Int)
  }
}

extension SimulatedDisk.Event {
  typealias Nodes = [Int: SimulatedDisk.Node]

  /// Makes the change. Where a change that it builds on was lost, it has no effect.
  func apply(to nodes: inout Nodes) {
    switch self {
    case .write(let node, let offset, let bytes):
      Self.changeBytes(of: node, in: &nodes) { content in
        let end = min(content.count, offset + bytes.count)
        guard offset < end else { return }
        content.replaceSubrange(offset..<end, with: bytes[..<(end - offset)])
      }
    case .resize(let node, let byteCount):
      Self.changeBytes(of: node, in: &nodes) { content in
        if byteCount <= content.count {
          content.removeLast(content.count - byteCount)
        } else {
          content.append(contentsOf: repeatElement(0, count: byteCount - content.count))
        }
      }
    case .link(let directory, let name, let node, let content):
      // Bytes that were synced before the name was are already there.
      if nodes[node] == nil { nodes[node] = content }
      Self.changeNames(of: directory, in: &nodes) { $0[name] = node }
    case .rename(let from, let name, let to, let newName):
      guard case .directory(let names) = nodes[from], let node = names[name] else { return }
      Self.changeNames(of: from, in: &nodes) { $0[name] = nil }
      Self.changeNames(of: to, in: &nodes) { $0[newName] = node }
    case .exchange(let from, let name, let to, let otherName):
      guard case .directory(let names) = nodes[from], let node = names[name],
        case .directory(let others) = nodes[to], let other = others[otherName]
      else { return }
      Self.changeNames(of: from, in: &nodes) { $0[name] = other }
      Self.changeNames(of: to, in: &nodes) { $0[otherName] = node }
    case .unlink(let directory, let name):
      Self.changeNames(of: directory, in: &nodes) { $0[name] = nil }
    case .decay(let node, let bit):
      Self.changeBytes(of: node, in: &nodes) { content in
        if bit / 8 < content.count { content[bit / 8] ^= 1 << (bit % 8) }
      }
    case .syncFile, .syncDirectory, .syncFailed, .note:
      break
    }
  }

  private static func changeBytes(
    of node: Int, in nodes: inout Nodes, _ change: (inout [UInt8]) -> Void
  ) {
    guard case .file(var bytes) = nodes[node] ?? .file([]) else { return }
    nodes[node] = nil
    change(&bytes)
    nodes[node] = .file(bytes)
  }

  private static func changeNames(
    of node: Int, in nodes: inout Nodes, _ change: (inout [String: Int]) -> Void
  ) {
    guard case .directory(var names) = nodes[node] ?? .directory([:]) else { return }
    change(&names)
    nodes[node] = .directory(names)
  }
}
