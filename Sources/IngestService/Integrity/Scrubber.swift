// Reads everything and checks it, slowly, always: the thread `ingot-scrub`. What comes next: ScrubState.swift.
// One shard: ShardStore/ShardVerifier.swift. What is done about damage: Scrubber+Findings.swift.

internal import Catalog
internal import Logging
internal import ShardStore
internal import Synchronization
internal import SystemIO

final class Scrubber: Sendable {
  let catalog: Catalog?
  let follower: CatalogFollower?
  let quarantine: Quarantine
  let logger: Logger
  let collections: @Sendable () -> [Collection]
  let state = Monitor(ScrubState())
  let began = MonotonicTime.now
  private let configuration: ServiceConfiguration
  var scrubAge: Duration { configuration.scrubAge }
  private let thread = Mutex<NamedThread?>(nil)

  /// How soon shards that came meanwhile are seen.
  private static let idleDelay = Duration.seconds(1)
  /// How soon damage of the files that say what the store is, is seen when nothing else is read.
  private static let filesDelay = Duration.seconds(10)
  /// Before a shard is read again that could not be, for want of descriptors or of memory.
  private static let shortageDelay = Duration.seconds(1)

  init(
    configuration: ServiceConfiguration, catalog: Catalog?, follower: CatalogFollower?,
    quarantine: Quarantine, logger: Logger, collections: @escaping @Sendable () -> [Collection]
  ) {
    self.configuration = configuration
    self.catalog = catalog
    self.follower = follower
    self.quarantine = quarantine
    self.logger = logger
    self.collections = collections
  }

  /// Goes on where the last process stopped.
  func start() {
    for collection in collections() {
      let verified = (try? catalog?.verifiedShards(collection: collection.uuid)) ?? [:]
      state.withLock { state in
        for (shard, time) in verified {
          state.verifiedAt[ScrubTarget(collection: collection.uuid, shard: shard)] = time
        }
      }
      for shard in collection.shards where !shard.summary.damage.isEmpty {
        ask(ScrubTarget(collection: collection.uuid, shard: shard.identity.number), "start")
      }
    }
    for record in (try? catalog?.scrubs(limit: 100)) ?? [] {
      let candidates = candidates(collection: record.collection, shard: record.shard)
      state.change { $0.add(record, candidates, now: .now) }
    }
    thread.withLock { $0 = NamedThread("ingot-scrub", isBackground: true) { [self] in run() } }
  }

  func close() {
    state.change { $0.isClosed = true }
    thread.withLock { $0.take() }?.join()
  }

  /// Reads a shard before all others.
  func ask(_ target: ScrubTarget, _ cause: String) {
    state.change { $0.urgent[target] = cause }
  }

  /// The shards of all collections, or of some.
  func candidates(collection: String? = nil, shard: Int? = nil) -> [ScrubCandidate] {
    collections().filter { collection == nil || $0.name == collection }.flatMap { collection in
      // A shard has its name a moment before its first batch is visible.
      collection.shards.filter {
        (shard == nil || $0.identity.number == shard) && $0.summary.logEnd > 0
      }.map { shard in
        ScrubCandidate(
          target: ScrubTarget(collection: collection.uuid, shard: shard.identity.number),
          byteCount: shard.storedByteCount)
      }
    }
  }

  // MARK: - The thread

  private func run() {
    var filesCheckedAt: MonotonicTime?
    while true {
      let candidates = candidates()
      if state.withLock({ $0.isStoreRead }) || isCatalogDue { checkCatalog() }
      for ended in state.change({ $0.endJobs(now: MonotonicTime.wallClockNanoseconds) }) {
        record(ended)
      }
      let (work, isClosed) = state.withLock { state in
        (
          state.next(
            candidates, rate: configuration.scrubRate, age: configuration.scrubAge,
            now: MonotonicTime.wallClockNanoseconds), state.isClosed
        )
      }
      if isClosed { return }
      if let work {
        verify(work)
        filesCheckedAt = nil
      } else {
        if filesCheckedAt.map({ $0.duration(to: .now) >= Self.filesDelay }) ?? true {
          checkFiles()
          filesCheckedAt = .now
        }
        waitForWork()
      }
    }
  }

  private func waitForWork() {
    let until = MonotonicTime.now.advanced(by: Self.idleDelay)
    _ = state.wait(until: until) { state in
      let hasJob = state.jobs.values.contains { $0.record.state == .running }
      return state.isClosed || hasJob || !state.urgent.isEmpty ? () : nil
    }
  }

  private func verify(_ work: ScrubState.Work) {
    let collection = collections().first { $0.uuid == work.target.collection }
    let shard = collection?.shards.first { $0.identity.number == work.target.shard }
    let pace = ScrubPace(work, state: state)
    var isRepaired = false
    if let collection, let shard {
      let found = verify(shard, of: collection, pace: pace)
      guard !pace.isStopped else { return }
      collection.places.withLock { _ in
        // Replaced while it was read: what was read is of two shards.
        guard collection.shards.contains(where: { $0 === shard }) else { return }
        isRepaired = treat(found, of: shard, in: collection, cause: work.cause)
      }
    }
    state.change { $0.finish(work.target, readFor: work.job) }
    // So that nobody is told for days of what is right by now.
    if isRepaired { ask(work.target, work.cause) }
  }

  private func verify(
    _ shard: Shard, of collection: Collection, pace: ScrubPace
  ) -> ShardVerification {
    let verifier = ShardVerifier(collection.opener) { pace.didRead(byteCount: $0) }
    while true {
      let before = shard.summary
      let found = verifier.verify(
        before.number,
        evidence: ShardVerifier.Evidence(
          catalogRowCount: before.rowCount,
          durable: before.isSealed ? nil : (before.rowCount, before.logEnd)))
      if let shortage = found.shortage, !pace.isStopped {
        // The machine's fault is not taken for the data's.
        logger.warning("\(collection.name): a shard cannot be read now, trying again: \(shortage)")
        let until = MonotonicTime.now.advanced(by: Self.shortageDelay)
        _ = state.wait(until: until) { $0.isClosed ? () : nil }
        continue
      }
      // Sealed while it was read: what was read is no longer what is there.
      if shard.summary.isSealed == before.isSealed { return found }
    }
  }

  func record(_ scrub: CatalogScrub) {
    do { try catalog?.record(scrub) } catch {
      logger.error("scrub \(scrub.number) cannot be recorded: \(error)")
    }
  }
}

/// Keeps to a rate, and counts what a job has read.
final class ScrubPace: Sendable {
  private let work: ScrubState.Work
  private let state: Monitor<ScrubState>
  private let course: Mutex<Course>

  /// Bytes since the rate was last changed.
  private struct Course {
    var rate: Int?
    var began = MonotonicTime.now
    var byteCount = 0
  }

  init(_ work: ScrubState.Work, state: Monitor<ScrubState>) {
    self.work = work
    self.state = state
    course = Mutex(Course(rate: work.rate))
  }

  /// Nobody wants the rest any more.
  var isStopped: Bool { state.withLock { isStopped($0) } }

  private func isStopped(_ state: ScrubState) -> Bool {
    state.isClosed || work.job.map { state.jobs[$0]?.record.state != .running } ?? false
  }

  func didRead(byteCount: Int) {
    let rate = state.withLock { state in
      // A job that was stopped stays as it was, though the shard is read to its end.
      if let job = work.job, state.jobs[job]?.record.state == .running {
        state.jobs[job]?.didRead(byteCount: byteCount, at: .now)
      }
      return state.rate(of: work)
    }
    let due = course.withLock { course -> MonotonicTime? in
      if course.rate != rate { course = Course(rate: rate) }
      course.byteCount += byteCount
      return rate.map { course.began.advanced(by: .seconds(Double(course.byteCount) / Double($0))) }
    }
    guard let due, due > .now else { return }
    _ = state.wait(until: due) { isStopped($0) || $0.rate(of: work) != rate ? () : nil }
  }
}
