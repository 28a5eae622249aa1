// A disk in memory that remembers what was synced and what was not. The other implementation of
// SystemIO's Disk; used by tests only. Power cuts: PowerCut.swift.

internal import Glibc
internal import Synchronization
package import SystemIO

/// Files and directories in memory, with a trace of every change and every sync.
package final class SimulatedDisk: Disk {
  let state: Mutex<State>
  /// What was there when the trace began; all of it durable.
  let initialNodes: [Int: Node]

  struct State {
    var nodes: [Int: Node]
    var nextNode: Int
    var trace: [Event] = []
    var fault: Fault?
    var lie: Lie?
    var duringSync: DuringSync?
    var operationCounts: [String: Int] = [:]
    var syncCounts: [String: Int] = [:]
    var freeByteCount = 1 << 40
  }

  /// Answers the error number with which an operation fails; nil lets it happen.
  ///
  /// - Parameters: the operation's Linux name, the path, and how often it was called before.
  package typealias Fault = @Sendable (_ operation: String, _ path: String, _ count: Int) -> Int32?

  /// Answers whether a sync says that it succeeded and does nothing.
  ///
  /// - Parameters: `fdatasync` or `fsync`, the path, and how often that path was synced before.
  package typealias Lie = @Sendable (_ operation: String, _ path: String, _ count: Int) -> Bool

  /// Is called while a sync runs: what it changes comes too late for this sync.
  package typealias DuringSync = @Sendable (_ operation: String, _ path: String) -> Void

  /// What a number stands for: a file's bytes, or a directory's names.
  package enum Node: Sendable {
    case file([UInt8])
    case directory([String: Int])
  }

  static let root = 0

  /// An empty disk, with nothing but its root directory.
  package convenience init() { self.init(nodes: [Self.root: .directory([:])], nextNode: 1) }

  init(nodes: [Int: Node], nextNode: Int) {
    initialNodes = nodes
    state = Mutex(State(nodes: nodes, nextNode: nextNode))
  }

  package func setFault(_ fault: Fault?) { state.withLock { $0.fault = fault } }

  package func setLie(_ lie: Lie?) { state.withLock { $0.lie = lie } }

  package func setDuringSync(_ body: DuringSync?) { state.withLock { $0.duringSync = body } }

  package func setFreeByteCount(_ count: Int) { state.withLock { $0.freeByteCount = count } }

  /// Marks a moment in the trace, for example an acknowledgement.
  package func note(_ number: Int) { state.withLock { $0.trace.append(.note(number)) } }

  package var trace: [Event] { state.withLock { $0.trace } }

  /// Changes one bit of a file, behind everybody's back.
  package func flipBit(_ bit: Int, in path: String) {
    state.withLock { state in
      guard let node = try? state.node(path), bit / 8 < state.bytes(node).count else {
        preconditionFailure("no bit \(bit) in \(path)")
      }
      state.change(.decay(node: node, bit: bit))
    }
  }

  /// Runs one operation: counts it, lets it fail when a fault says so, and records what it changed.
  func perform<Result>(
    _ operation: String, _ path: String, _ body: (inout State) throws(DiskError) -> Result
  ) throws(DiskError) -> Result {
    let outcome = state.withLock { state -> Swift.Result<Result, DiskError> in
      let count = state.operationCounts[operation, default: 0]
      state.operationCounts[operation] = count + 1
      if let code = state.fault?(operation, path, count) {
        return .failure(DiskError(operation: operation, path: path, code: code))
      }
      do throws(DiskError) { return .success(try body(&state)) } catch { return .failure(error) }
    }
    return try outcome.get()
  }

  /// Runs a sync: it is about what was there when it began, and is over when it is recorded.
  func performSync(
    _ operation: String, _ path: String, of target: (State) throws(DiskError) -> Int,
    event: (_ node: Int, _ before: Int) -> Event
  ) throws(DiskError) {
    let (before, duringSync) = state.withLock { ($0.trace.count, $0.duringSync) }
    duringSync?(operation, path)
    do throws(DiskError) {
      try perform(operation, path) { state throws(DiskError) in
        let node = try target(state)
        let count = state.syncCounts[path, default: 0]
        state.syncCounts[path] = count + 1
        if state.lie?(operation, path, count) != true { state.trace.append(event(node, before)) }
      }
    } catch {
      state.withLock { state in
        if let node = try? target(state) { state.trace.append(.syncFailed(node, before: before)) }
      }
      throw error
    }
  }
}

extension SimulatedDisk.State {
  /// The node that a path leads to.
  func node(_ path: String) throws(DiskError) -> Int {
    var current = SimulatedDisk.root
    for name in Self.names(path) {
      guard case .directory(let names) = nodes[current], let next = names[name] else {
        throw DiskError(operation: "open", path: path, code: ENOENT)
      }
      current = next
    }
    return current
  }

  /// The names in a path. By bytes: characters cost a fifth of all time.
  private static func names(_ path: String) -> [String] {
    path.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
  }

  /// The directory that a path lies in, and its name there.
  func parent(of path: String) throws(DiskError) -> (node: Int, name: String) {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")),
      let name = Self.names(String(path[slash...])).first
    else { throw DiskError(operation: "open", path: path, code: EINVAL) }
    return (try node(String(path[..<slash])), name)
  }

  func names(_ node: Int) -> [String: Int] {
    if case .directory(let names) = nodes[node] { return names }
    return [:]
  }

  func isDirectory(_ node: Int) -> Bool {
    if case .directory = nodes[node] { true } else { false }
  }

  /// Why a node cannot be removed, or replaced, as a directory; nil when it is an empty one.
  func problem(removingDirectory node: Int) -> Int32? {
    guard isDirectory(node) else { return ENOTDIR }
    return names(node).isEmpty ? nil : ENOTEMPTY
  }

  mutating func create(_ content: SimulatedDisk.Node, at path: String) throws(DiskError) -> Int {
    let (directory, name) = try parent(of: path)
    guard names(directory)[name] == nil else {
      throw DiskError(operation: "open", path: path, code: EEXIST)
    }
    let node = nextNode
    nextNode += 1
    change(.link(directory: directory, name: name, node: node, content: content))
    return node
  }

  /// Makes a change and remembers it.
  mutating func change(_ event: SimulatedDisk.Event) {
    event.apply(to: &nodes)
    trace.append(event)
  }
}

extension SimulatedDisk {
  package func createFile(_ path: String) throws(DiskError) -> any DiskFile {
    let node = try perform("open", path) { state throws(DiskError) in
      try state.create(.file([]), at: path)
    }
    return SimulatedFile(disk: self, node: node, path: path)
  }

  package func openFile(_ path: String, for access: FileAccess) throws(DiskError) -> any DiskFile {
    let node = try perform("open", path) { state throws(DiskError) in
      let node = try state.node(path)
      guard case .file = state.nodes[node] else {
        throw DiskError(operation: "open", path: path, code: EINVAL)
      }
      return node
    }
    return SimulatedFile(disk: self, node: node, path: path)
  }

  package func makeDirectory(_ path: String) throws(DiskError) {
    try perform("mkdir", path) { state throws(DiskError) in
      _ = try state.create(.directory([:]), at: path)
    }
  }

  package func rename(_ path: String, to newPath: String) throws(DiskError) {
    try perform("rename", path) { state throws(DiskError) in
      let (from, name) = try state.parent(of: path)
      let (to, newName) = try state.parent(of: newPath)
      guard let node = state.names(from)[name] else {
        throw DiskError(operation: "rename", path: path, code: ENOENT)
      }
      if let replaced = state.names(to)[newName], replaced != node {
        let code =
          state.isDirectory(node)
          ? state.problem(removingDirectory: replaced)
          : state.isDirectory(replaced) ? EISDIR : nil
        if let code { throw DiskError(operation: "rename", path: path, code: code) }
      }
      state.change(.rename(from: from, name: name, to: to, newName: newName))
    }
  }

  package func exchange(_ path: String, with otherPath: String) throws(DiskError) {
    try perform("renameat2", path) { state throws(DiskError) in
      let (from, name) = try state.parent(of: path)
      let (to, otherName) = try state.parent(of: otherPath)
      guard state.names(from)[name] != nil, state.names(to)[otherName] != nil else {
        throw DiskError(operation: "renameat2", path: path, code: ENOENT)
      }
      state.change(.exchange(from: from, name: name, to: to, otherName: otherName))
    }
  }

  package func removeFile(_ path: String) throws(DiskError) {
    try unlink("unlink", path) { state, node in state.isDirectory(node) ? EISDIR : nil }
  }

  package func removeDirectory(_ path: String) throws(DiskError) {
    try unlink("rmdir", path) { state, node in state.problem(removingDirectory: node) }
  }

  private func unlink(
    _ operation: String, _ path: String, problem: (State, _ node: Int) -> Int32?
  ) throws(DiskError) {
    try perform(operation, path) { state throws(DiskError) in
      let (directory, name) = try state.parent(of: path)
      guard let node = state.names(directory)[name] else {
        throw DiskError(operation: operation, path: path, code: ENOENT)
      }
      if let code = problem(state, node) {
        throw DiskError(operation: operation, path: path, code: code)
      }
      state.change(.unlink(directory: directory, name: name))
    }
  }

  package func names(inDirectory path: String) throws(DiskError) -> [String] {
    try perform("opendir", path) { state throws(DiskError) in
      let node = try state.node(path)
      guard state.isDirectory(node) else {
        throw DiskError(operation: "opendir", path: path, code: ENOTDIR)
      }
      return state.names(node).keys.sorted()
    }
  }

  package func kind(of path: String) throws(DiskError) -> FileKind? {
    try perform("lstat", path) { state throws(DiskError) in
      guard let node = try? state.node(path) else { return nil }
      if case .file = state.nodes[node] { return .file }
      return .directory
    }
  }

  package func syncDirectory(_ path: String) throws(DiskError) {
    try performSync(
      "fsync", path, of: { state throws(DiskError) in try state.node(path) },
      event: { .syncDirectory($0, before: $1) })
  }

  package func space(at path: String) throws(DiskError) -> DiskSpace {
    try perform("statvfs", path) { state throws(DiskError) in
      DiskSpace(
        freeByteCount: state.freeByteCount, totalByteCount: 1 << 40, freeInodeCount: 1 << 20)
    }
  }
}
