// The service: opens a store, takes batches, answers for them. The only place that knows shards and catalog.
// Opening: IngestService+Open.swift. Reading: IngestService+Read.swift. Commit order: CommitPipeline.swift.

internal import Catalog
internal import Logging
package import ShardStore
internal import Synchronization
internal import SystemIO

package final class IngestService: Sendable {
  package let configuration: ServiceConfiguration
  package let layout: StoreLayout
  package let storeUUID: StoreUUID
  package let admission: Admission
  package let metrics = ServiceMetrics()
  package let health = ServiceHealth()
  let disk: any Disk
  let catalog: Catalog?
  /// What should be there and could not be opened at start.
  let problems: [String]
  let logger: Logger
  let registry = BatchRegistry()
  let collectionMap: Mutex<[String: Collection]>
  /// Held while a collection is created, which waits for the disk.
  private let creating = Mutex(())
  let threads: PipelineThreads
  let parallelSync = ParallelSync()
  let background: BackgroundThreads
  let scrubber = Mutex<Scrubber?>(nil)
  let compactor = Mutex<Compactor?>(nil)
  let ballast: Ballast
  let probe: WriteProbe
  private let lock: StoreLock?

  /// Created by its first batch.
  package static let defaultCollection = "default"

  init(
    configuration: ServiceConfiguration, layout: StoreLayout, storeUUID: StoreUUID,
    disk: any Disk, catalog: Catalog?, collections: [Collection], problems: [String],
    lock: StoreLock?, logger: Logger
  ) {
    self.configuration = configuration
    self.layout = layout
    self.storeUUID = storeUUID
    self.disk = disk
    self.catalog = catalog
    self.problems = problems
    self.lock = lock
    self.logger = logger
    let admission = Admission(configuration: configuration, disk: disk, root: layout.root)
    self.admission = admission
    let ballast = Ballast(
      disk: disk, layout: layout, admission: admission,
      reserveByteCount: configuration.diskReserveByteCount, logger: logger)
    self.ballast = ballast
    probe = WriteProbe(
      disk: disk, layout: layout, health: health, admission: admission, ballast: ballast,
      shardByteCount: configuration.shardByteCount, logger: logger)
    threads = PipelineThreads(groupByteCountMax: configuration.groupByteCountMax)
    background = BackgroundThreads()
    collectionMap = Mutex(Dictionary(uniqueKeysWithValues: collections.map { ($0.name, $0) }))
  }

  // MARK: - Append

  /// Commits a batch once; a batch id that is known gets the receipt that it always got.
  ///
  /// - Parameters:
  ///   - batchID: 1 to 200 bytes of ASCII; nil for a batch that nobody will ask for again.
  ///   - completion: Called once, from any thread, after the batch is durable or refused.
  package func append(
    _ batch: Batch, to collection: Collection, batchID: String?,
    completion: @escaping @Sendable (Result<Commit, IngestError>) -> Void
  ) {
    guard batch.dimension == collection.dimension, batch.dtype == collection.dtype else {
      completion(.failure(Self.shapeDiffers(batch, collection)))
      return
    }
    let id = batchID ?? Self.newBatchID()
    let key = BatchRegistry.Key(collection: collection.uuid, batchID: id)
    switch registry.claim(key, digest: batch.contentDigest, completion: completion) {
    case .joined: return
    case .replay(let receipt): completion(.success(Commit(receipt: receipt, isReplay: true)))
    case .reused(let receipt): completion(.failure(.keyReused(batchID: id, receipt: receipt)))
    case .mine:
      do throws(IngestError) {
        if batchID != nil, let known = try catalogReceipt(collection, batchID: id) {
          settle(key, .success(known), isReplayFor: batch, completion)
        } else {
          commit(batch, in: collection, key: key, completion)
        }
      } catch {
        // Whether the batch is stored cannot be told: to store it now could be to store it twice.
        settle(key, .failure(error), isReplayFor: nil, completion)
      }
    }
  }

  private func commit(
    _ batch: Batch, in collection: Collection, key: BatchRegistry.Key,
    _ completion: @escaping @Sendable (Result<Commit, IngestError>) -> Void
  ) {
    let began = MonotonicTime.now
    let releasesBefore = ballast.releaseCount
    let pending = PendingBatch(collection: collection, batch: batch, batchID: key.batchID) {
      [self] outcome in
      switch outcome {
      case .success: metrics.recordCommit(began.duration(to: .now))
      case .failure(.diskFull(let needed, _, _)):
        if batch.isDeletion, ballast.release() || ballast.releaseCount != releasesBefore {
          // What makes room again is not to fail for want of it.
          commit(batch, in: collection, key: key, completion)
          return
        }
        admission.recordFull(neededByteCount: needed)
      case .failure: break
      }
      settle(key, outcome, isReplayFor: nil, completion)
    }
    if !threads.append(pending) {
      settle(key, .failure(.draining), isReplayFor: nil, completion)
    }
  }

  /// Answers the owner of a batch id and everybody who joined.
  private func settle(
    _ key: BatchRegistry.Key, _ outcome: Result<Receipt, IngestError>, isReplayFor batch: Batch?,
    _ completion: @Sendable (Result<Commit, IngestError>) -> Void
  ) {
    let waiting = registry.settle(key, try? outcome.get())
    switch outcome {
    case .failure(let error):
      completion(.failure(error))
      for other in waiting { other(.failure(error)) }
    case .success(let receipt):
      let replay = Commit(receipt: receipt, isReplay: true)
      if let batch {
        let isSame = batch.contentDigest == receipt.contentDigest
        let answer: Result<Commit, IngestError> =
          isSame
          ? .success(replay) : .failure(.keyReused(batchID: receipt.batchID, receipt: receipt))
        completion(answer)
        for other in waiting { other(answer) }
        registry.forget([key.batchID], collection: key.collection)
      } else {
        completion(.success(Commit(receipt: receipt, isReplay: false)))
        for other in waiting { other(.success(replay)) }
      }
    }
  }

  private static func shapeDiffers(_ batch: Batch, _ collection: Collection) -> IngestError {
    .shapeDiffers(
      expected: "dimension \(collection.dimension) and dtype \(collection.dtype.name)",
      found: "dimension \(batch.dimension) and dtype \(batch.dtype.name)")
  }

  /// A UUID of version 7: made from the time and 74 random bits. Source: RFC 9562 section 5.7.
  private static func newBatchID() -> String {
    let milliseconds = UInt64(MonotonicTime.wallClockNanoseconds / 1_000_000)
    var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
    for index in 0..<6 {
      bytes[index] = UInt8(truncatingIfNeeded: milliseconds >> (40 - 8 * index))
    }
    bytes[6] = bytes[6] & 0x0F | 0x70
    bytes[8] = bytes[8] & 0x3F | 0x80
    return StoreUUID(bytes: bytes)?.description ?? ""
  }

  // MARK: - Receipts

  func catalogReceipt(
    _ collection: Collection, batchID: String
  ) throws(IngestError) -> Receipt? {
    do {
      return try catalog?.batch(collection: collection.uuid, id: batchID)
        .map { Receipt($0, collection: collection.name) }
    } catch {
      throw catalogFailure(error)
    }
  }

  func catalogFailure(_ error: any Error) -> IngestError {
    logger.error("the catalog cannot be read: \(error)")
    let text = "the catalog cannot be read"
    return Catalog.couldNotOpen(error) ? .noDescriptorLeft(text) : .storageFailed(text)
  }

  // MARK: - Collections

  package var collections: [Collection] {
    collectionMap.withLock { $0.values.sorted { $0.name < $1.name } }
  }

  package func collection(_ name: String) -> Collection? { collectionMap.withLock { $0[name] } }

  /// The collection of that name; created when it is not there. Waits for the disk, and so do others that create;
  /// those who look one up do not.
  ///
  /// - Returns: whether it was created now.
  /// - Throws: ``IngestError/collectionDiffers(_:)`` when it is there with another shape.
  package func createCollection(
    _ name: String, dimension: Int, dtype: Dtype
  ) throws(IngestError) -> (collection: Collection, isNew: Bool) {
    guard Collection.isValidName(name) else { throw .collectionNameInvalid(name) }
    let outcome = creating.withLock { _ -> Result<(Collection, Bool), IngestError> in
      if let found = collection(name) {
        guard found.dimension == dimension, found.dtype == dtype else {
          return .failure(
            .collectionDiffers(
              "collection \(name) has dimension \(found.dimension) and dtype \(found.dtype.name)"))
        }
        return .success((found, false))
      }
      do throws(DiskError) {
        let geometry = ShardGeometry(
          dimension: dimension, dtype: dtype, shardByteCount: configuration.shardByteCount)
        let created = try Collection.create(
          name, store: storeUUID, geometry: geometry, layout: layout, disk: disk,
          steps: configuration.allocation)
        collectionMap.withLock { $0[name] = created }
        return .success((created, true))
      } catch {
        if error.isAlreadyThere {
          return .failure(
            .collectionDiffers(
              "\(layout.collection(name).root) is there and cannot be opened (GET /integrity says why); put its "
                + "collection.json back, or move the directory away"))
        }
        guard error.isOutOfSpace else { return .failure(IngestError(error)) }
        let space = admission.space
        return .failure(
          .diskFull(
            neededByteCount: Collection.emptyByteCount, freeByteCount: space?.freeByteCount ?? 0,
            reason: space?.freeInodeCount == 0 ? "inodes" : "\(error)"))
      }
    }
    let created = try outcome.get()
    if created.1, let scrubber = scrubber.withLock({ $0 }) { watch(created.0, scrubber) }
    return created
  }

  // MARK: - Stop

  /// Commits what is in flight, brings the catalog up to date, gives preallocated space back.
  package func close() {
    probe.close()
    scrubber.withLock { $0 }?.close()
    compactor.withLock { $0 }?.close()
    threads.close()
    parallelSync.close()
    background.close()
    for collection in collections {
      let writer = collection.writing.withLock { $0.writer }
      do throws(DiskError) { try writer?.giveBackSpace() } catch {
        logger.error("preallocated space could not be given back: \(error)")
      }
    }
    try? catalog?.checkpoint()
    ballast.remove()
  }
}
