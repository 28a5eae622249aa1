// Opens or creates a store: lock, identity, catalog, shards, threads; in this order.

internal import Catalog
package import Logging
internal import ShardStore
internal import Synchronization
package import SystemIO

extension IngestService {
  /// Opens the store at a path and starts to take batches.
  package static func open(
    root: String, configuration: ServiceConfiguration, disk: any Disk = RealDisk(),
    lock: StoreLock? = nil, logger: Logger
  ) throws(StoreProblem) -> IngestService {
    let layout = StoreLayout(root: root)
    var report = RecoveryReport()
    let uuid = try openOrCreateStore(
      layout, expected: configuration.expectedStoreUUID, disk: disk)
    let found = CatalogAtStart(layout, report: &report)
    let collections = try openCollections(
      layout, uuid: uuid, configuration: configuration, disk: disk,
      known: { found.evidence[$0.description] ?? CatalogEvidence() }, report: &report)
    report.noteLostCollections(found.reader, opened: collections)
    report.lines += foreignFiles(layout, collections: collections, disk: disk)
    let service = IngestService(
      configuration: configuration, layout: layout, storeUUID: uuid, disk: disk,
      catalog: found.catalog, collections: collections, problems: report.problems, lock: lock,
      logger: logger)
    service.findDamage(found.reader)
    for line in report.problems { logger.error("\(line)") }
    for line in report.lines { logger.warning("\(line)") }
    service.health.note(report.problems + report.lines)
    service.start()
    return service
  }

  /// Locks a store's directory.
  ///
  /// - Parameter creates: the directory, when it is not there.
  package static func lock(root: String, creates: Bool = true) throws(StoreProblem) -> StoreLock {
    do throws(DiskError) {
      let disk = RealDisk()
      if creates, try disk.kind(of: root) == nil { try disk.makeDirectory(root) }
      return try StoreLock(directory: root)
    } catch {
      guard error.isLockedByAnother else { throw .disk(error) }
      throw .inUse(path: root, processID: StoreLock.holder(ofDirectory: root))
    }
  }

  static func openOrCreateStore(
    _ layout: StoreLayout, expected: StoreUUID? = nil, disk: any Disk,
    newUUID: StoreUUID = .random()
  ) throws(StoreProblem) -> StoreUUID {
    var foreign: [String] = []
    var isThere = true
    do throws(DiskError) {
      isThere = try disk.kind(of: layout.storeFile) != nil
      if !isThere, expected == nil {
        foreign = try namesOfOthers(layout, disk: disk)
        if foreign.isEmpty { try createStore(layout, newUUID, disk: disk) }
      }
    } catch {
      throw .disk(error)
    }
    if !foreign.isEmpty {
      throw .notAStore(path: layout.root, found: foreign.prefix(3).joined(separator: ", "))
    }
    if !isThere, let expected {
      throw .otherStore(path: layout.root, expected: expected.description, found: nil)
    }
    let file = try StoreFile.read(layout.storeFile, disk: disk)
    guard let uuid = StoreUUID(file.storeUUID) else {
      throw .damagedFile(path: layout.storeFile, reason: "store_uuid is no UUID")
    }
    if let expected, expected != uuid {
      throw .otherStore(
        path: layout.root, expected: expected.description, found: uuid.description)
    }
    return uuid
  }

  /// What lies in a directory without store.json and was not left by an interrupted creation.
  private static func namesOfOthers(
    _ layout: StoreLayout, disk: any Disk
  ) throws(DiskError) -> [String] {
    let names = try disk.names(inDirectory: layout.root).filter {
      !$0.hasPrefix("store.json") && $0 != "lost+found"
    }
    if names == ["collections"], try disk.names(inDirectory: layout.collections).isEmpty {
      return []
    }
    // First what says most: a backup that was broken off.
    return names.filter { $0 == BackupTarget.incompleteName }
      + names.filter { $0 != BackupTarget.incompleteName }
  }

  private static func createStore(
    _ layout: StoreLayout, _ uuid: StoreUUID, disk: any Disk
  ) throws(DiskError) {
    // The store's own name, before anything in it counts.
    try disk.syncDirectory(layout.parent)
    if try disk.kind(of: layout.collections) == nil {
      try disk.makeDirectory(layout.collections)
    }
    // A store that has its file has all of its folders.
    try disk.syncDirectory(layout.root)
    try StoreFile(storeUUID: uuid.description)
      .write(layout.storeFile, inDirectory: layout.root, disk: disk)
  }

  static func openCollections(
    _ layout: StoreLayout, uuid: StoreUUID, configuration: ServiceConfiguration, disk: any Disk,
    known: (_ collection: StoreUUID) -> CatalogEvidence, report: inout RecoveryReport
  ) throws(StoreProblem) -> [Collection] {
    let names: [String]
    do throws(DiskError) {
      // Names that the last process gave and did not live to sync.
      try disk.syncDirectory(layout.root)
      try disk.syncDirectory(layout.collections)
      names = try disk.names(inDirectory: layout.collections)
    } catch {
      throw .disk(error)
    }
    var collections: [Collection] = []
    for name in names where Collection.isValidName(name) {
      let directory = layout.collection(name)
      do throws(StoreProblem) {
        guard try wasCreated(directory, disk: disk) else {
          report.lines.append(
            "\(directory.root) was not wholly created; creating the collection again completes it")
          continue
        }
        collections.append(
          try openCollection(
            name, directory, uuid: uuid, configuration: configuration, disk: disk, known: known,
            report: &report))
      } catch {
        // Who may not read one file may not read others: to call all of their rows lost would be wrong.
        if error.isDenied { throw error }
        // One bad collection does not stop the others (promise P6).
        report.problems.append("collection \(name) cannot be opened: \(error)")
      }
    }
    return collections
  }

  /// Whether a collection has its file, or shards that it needs one for.
  private static func wasCreated(
    _ directory: CollectionLayout, disk: any Disk
  ) throws(StoreProblem) -> Bool {
    do throws(DiskError) {
      guard try disk.kind(of: directory.collectionFile) == nil else { return true }
      guard try disk.kind(of: directory.shards) == .directory else { return false }
      return try !disk.names(inDirectory: directory.shards).isEmpty
    } catch {
      throw .disk(error)
    }
  }

  private static func openCollection(
    _ name: String, _ directory: CollectionLayout, uuid: StoreUUID,
    configuration: ServiceConfiguration, disk: any Disk,
    known: (_ collection: StoreUUID) -> CatalogEvidence, report: inout RecoveryReport
  ) throws(StoreProblem) -> Collection {
    let file = try CollectionFile.read(directory.collectionFile, disk: disk)
    guard let collectionUUID = StoreUUID(file.collectionUUID),
      let dtype = Dtype(rawValue: file.dtype),
      file.dimension > 0
    else { throw .damagedFile(path: directory.collectionFile, reason: "a value is out of range") }
    let opener = ShardOpener(
      disk: disk, collection: directory, store: uuid, collectionUUID: collectionUUID,
      geometry: ShardGeometry(
        dimension: file.dimension, dtype: dtype, shardByteCount: configuration.shardByteCount),
      steps: configuration.allocation)
    do throws(DiskError) {
      return try Collection.open(
        name, opener: opener, known: known(collectionUUID), report: &report)
    } catch {
      throw .disk(error)
    }
  }

  /// Catches up, then starts the threads: batch ids of before are known before the first request.
  private func start() {
    let pipeline = CommitPipeline(
      events: pipelineEvents(),
      syncBoth: { [parallelSync, health] writer throws(DiskError) in
        try health.whileWriting { () throws(DiskError) in try parallelSync.syncBoth(writer) }
      })
    var catalogFollower: CatalogFollower?
    if let catalog {
      let follower = CatalogFollower(
        catalog: catalog, registry: registry, logger: logger,
        makeRoom: { [ballast] in ballast.release() },
        collections: { [weak self] in self?.collections ?? [] })
      do {
        for collection in collections { try follower.forgetReplacedShards(of: collection) }
        try follower.catchUp()
      } catch {
        logger.error("the catalog cannot be brought up to date: \(error)")
        rememberAllReceipts()
      }
      background.startFollower(follower)
      catalogFollower = follower
    } else {
      rememberAllReceipts()
    }
    background.startSealer { [weak self] in self?.sealFinishedShards() ?? true }
    background.wakeSealer()
    startReaders(catalogFollower)
    parallelSync.start()
    threads.start(pipeline)
    ballast.restore()
    probe.probe()
    probe.start()
  }

  /// What notes and the catalog know of damage, before the first request.
  private func findDamage(_ catalog: (any CatalogReader)?) {
    for collection in collections {
      quarantine.apply(to: collection)
      do { try collection.findLostIDs(catalog) } catch {
        logger.error("the catalog cannot be asked for lost ids: \(error)")
      }
    }
  }

  private func startReaders(_ follower: CatalogFollower?) {
    let scrubber = Scrubber(
      configuration: configuration, catalog: catalog, follower: follower, quarantine: quarantine,
      logger: logger
    ) { [weak self] in self?.collections ?? [] }
    self.scrubber.withLock { $0 = scrubber }
    for collection in collections { watch(collection, scrubber) }
    scrubber.start()
    let compactor = Compactor(
      configuration: configuration, catalog: catalog, follower: follower, logger: logger,
      disk: disk, root: layout.root,
      replaced: { [weak scrubber] collection, numbers in
        let targets = numbers.map { ScrubTarget(collection: collection.uuid, shard: $0) }
        scrubber?.state.change { $0.forget(targets) }
      },
      collections: { [weak self] in self?.collections ?? [] })
    self.compactor.withLock { $0 = compactor }
    compactor.start()
  }

  /// A read that finds damage has the whole shard verified at once.
  func watch(_ collection: Collection, _ scrubber: Scrubber) {
    let uuid = collection.uuid
    collection.onDamage { [weak scrubber] shard in
      scrubber?.ask(ScrubTarget(collection: uuid, shard: shard.identity.number), "read")
    }
  }

  var quarantine: Quarantine {
    Quarantine(
      layout: layout, disk: disk, reserveByteCount: configuration.diskReserveByteCount)
  }

  private func pipelineEvents() -> CommitPipeline.Events {
    var events = CommitPipeline.Events()
    events.committed = { [metrics, health, background] part, receipts in
      health.recordDurableWrite()
      for (batch, receipt) in zip(part.pending, receipts) {
        metrics.recordAppend(
          rowCount: receipt.rows.count, byteCount: batch.batch.byteCount)
      }
      background.wakeFollower()
    }
    events.shardFull = { [background] _ in background.wakeSealer() }
    events.failed = { [metrics, health, logger] error in
      metrics.storageFailureCount.add(1, ordering: .relaxed)
      health.recordFailure(error)
      logger.error("a write failed: \(error)")
    }
    return events
  }

  /// - Returns: false when there was no room for some of them.
  private func sealFinishedShards() -> Bool {
    var isSealed = true
    for collection in collections {
      do throws(DiskError) { try collection.sealFinishedShards() } catch {
        logger.error("a shard of \(collection.name) could not be sealed: \(error)")
        if error.isOutOfSpace, ballast.release() {
          isSealed = (try? collection.sealFinishedShards()) != nil && isSealed
        } else {
          isSealed = isSealed && !error.isOutOfSpace
        }
      }
    }
    return isSealed
  }

  /// Without a catalog, every receipt is kept in memory.
  private func rememberAllReceipts() {
    for collection in collections {
      for shard in collection.shards {
        for found in shard.readableRecords {
          registry.remember(
            Receipt(found.record, shard: shard.identity.number, collection: collection.name),
            collection: collection.uuid)
        }
      }
    }
  }
}
