// The directory that a backup is made into: whether it may be, its lock, and how it becomes a whole store.
// Until store.json is there, `serve` and `verify` refuse it; incomplete-backup.json says whose it will be.

internal import ShardStore
internal import SystemIO

/// A target that may be written to, locked.
struct BackupTarget {
  let layout: StoreLayout
  /// Nobody serves it, and no other backup writes to it, as long as this lives.
  private let lock: StoreLock
  private let storeFile: StoreFile
  private let isNew: Bool
  private let disk = RealDisk()

  static let incompleteName = "incomplete-backup.json"

  /// The catalog's copy until all shards are there: the catalog is never ahead of them.
  var newCatalog: String { layout.catalogFile + ".new" }
  private var incompleteFile: String { layout.root + "/" + Self.incompleteName }

  /// Checks, creates and locks a target.
  init(
    _ path: String, source: String, storeFile: StoreFile
  ) throws(BackupProblem) {
    let disk = RealDisk()
    let root = try diskProblem { () throws(DiskError) in
      if try disk.identity(of: path) != nil { return try disk.realPath(of: path) }
      let layout = StoreLayout(root: path)
      let name = path.split(separator: "/").last.map(String.init) ?? ""
      return try disk.realPath(of: layout.parent) + "/" + name
    }
    try Self.refuseNesting(root, source: source, disk: disk)
    try diskProblem { () throws(DiskError) in
      guard try disk.kind(of: root) == nil else { return }
      try disk.makeDirectory(root)
      try disk.syncDirectory(StoreLayout(root: root).parent)
    }
    layout = StoreLayout(root: root)
    do throws(StoreProblem) { lock = try StoreVerifier.lock(root: root) } catch {
      throw .store(error)
    }
    self.storeFile = storeFile
    isNew = try Self.isNew(layout, storeFile: storeFile, disk: disk)
  }

  /// A copy within its source would be copied the next time; a store within its copy would be replaced.
  private static func refuseNesting(
    _ root: String, source: String, disk: RealDisk
  ) throws(BackupProblem) {
    let (ofTarget, ofSource) = try diskProblem { () throws(DiskError) in
      (try ancestors(of: root, disk: disk), try ancestors(of: source, disk: disk))
    }
    if let own = ofSource.first, ofTarget.contains(own) {
      throw .refused(
        path: root,
        reason: "it is the store or lies inside of it; give a directory outside of \(source)")
    }
    if let own = ofTarget.first, ofSource.contains(own), (try? disk.kind(of: root)) != nil {
      throw .refused(
        path: root, reason: "the store \(source) lies inside of it; give another directory")
    }
  }

  /// A directory and all that it lies in, as far as they are there; by identity, so that no link hides one.
  private static func ancestors(
    of path: String, disk: RealDisk
  ) throws(DiskError) -> [FileIdentity] {
    var found: [FileIdentity] = []
    var path = path
    while true {
      if let identity = try disk.identity(of: path) { found.append(identity) }
      if path == "/" { return found }
      path = StoreLayout(root: path).parent
    }
  }

  /// Whether nothing was ever completed here.
  ///
  /// - Throws: when the directory belongs to something else.
  private static func isNew(
    _ layout: StoreLayout, storeFile: StoreFile, disk: RealDisk
  ) throws(BackupProblem) -> Bool {
    let names = try diskProblem { () throws(DiskError) in
      try disk.names(inDirectory: layout.root).filter { $0 != "lost+found" }
    }
    for name in ["store.json", incompleteName] where names.contains(name) {
      let found: StoreFile
      do throws(StoreProblem) {
        found = try StoreFile.read(layout.root + "/" + name, disk: disk)
      } catch {
        throw .store(error)
      }
      guard found.storeUUID == storeFile.storeUUID else {
        throw .refused(
          path: layout.root,
          reason: "it holds the store \(found.storeUUID), not a copy of \(storeFile.storeUUID); "
            + "give another directory")
      }
      return name == incompleteName
    }
    let foreign = names.filter { !$0.hasPrefix(incompleteName) }
    guard foreign.isEmpty else {
      throw .refused(
        path: layout.root,
        reason: "it is neither empty nor a copy of this store but holds "
          + "\(foreign.prefix(3).joined(separator: ", ")); give an empty or a new directory")
    }
    return true
  }

  /// Marks a new target as the beginning of a copy of this store, before anything else is in it.
  func begin() throws(DiskError) {
    if isNew {
      try storeFile.write(incompleteFile, inDirectory: layout.root, disk: disk)
    }
    if try disk.kind(of: layout.collections) == nil {
      try disk.makeDirectory(layout.collections)
      try disk.syncDirectory(layout.root)
    }
  }

  /// Gives the catalog's copy its name, or removes an old catalog; then the target is a whole store.
  func finish(hasCatalog: Bool) throws(DiskError) {
    var logs: [String] = []
    for path in ["-wal", "-shm"].map({ layout.catalogFile + $0 })
    where try disk.kind(of: path) != nil {
      logs.append(path)
    }
    if !logs.isEmpty || !hasCatalog {
      // The catalog first: another one with this write-ahead log would be garbage.
      for path in [layout.catalogFile] + logs where try disk.kind(of: path) != nil {
        try disk.removeFile(path)
        try disk.syncDirectory(layout.root)
      }
    }
    if hasCatalog {
      try disk.openFile(newCatalog, for: .read).sync()
      try disk.rename(newCatalog, to: layout.catalogFile)
    }
    if isNew { try disk.rename(incompleteFile, to: layout.storeFile) }
    try disk.syncDirectory(layout.root)
  }

  /// Removes what is of no use when a backup ends early. The rest is used by the next run.
  func abandon() {
    for suffix in ["", "-wal", "-shm", "-journal"] {
      try? disk.removeFile(newCatalog + suffix)
    }
  }
}

/// Turns the machine's fault into a backup's.
func diskProblem<Result>(
  _ body: () throws(DiskError) -> Result
) throws(BackupProblem) -> Result {
  do throws(DiskError) { return try body() } catch { throw .disk(error) }
}
