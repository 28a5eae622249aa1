// Scrubs on request, and what is known of the integrity of a store. Shown by IngestAPI/Endpoints/Integrity.swift.

internal import Catalog
package import ShardStore
internal import Synchronization
internal import SystemIO

/// How far a scrub is.
package struct ScrubProgress: Sendable {
  package let number: Int
  /// `waiting`, `running`, `done` or `stopped`.
  package let state: String
  /// The scrub that is to end first; nil unless it waits.
  package let waitsFor: Int?
  package let collection: String?
  package let shard: Int?
  /// Bytes per second; nil for as fast as it goes.
  package let rate: Int?
  package let checkedByteCount: Int
  package let totalByteCount: Int
  package let remainingSeconds: Double?
  package let damagedRowCount: Int
  package let damagedShardCount: Int
  /// Nanoseconds since 1970.
  package let startedAt: Int64
  package let endedAt: Int64?

  init(_ job: ScrubJob, in scrubs: ScrubState, now: MonotonicTime) {
    number = job.record.number
    waitsFor = scrubs.turn(before: number)
    state = waitsFor == nil ? job.record.state.rawValue : "waiting"
    collection = job.record.collection
    shard = job.record.shard
    rate = job.record.rate
    totalByteCount = job.totalByteCount
    // Shards that grow meanwhile are read further than was counted.
    let checked = min(job.checkedByteCount, job.totalByteCount)
    checkedByteCount = job.record.state == .done ? job.totalByteCount : checked
    damagedRowCount = job.damagedRowCount
    damagedShardCount = job.damagedShardCount
    startedAt = job.record.startedAt
    endedAt = job.record.endedAt
    remainingSeconds = waitsFor == nil ? job.remainingSeconds(at: now) : nil
  }

  package var percent: Double {
    totalByteCount == 0 ? 100 : Double(checkedByteCount) * 100 / Double(totalByteCount)
  }
}

extension IngestService {
  /// Starts a scrub; several are done one after the other.
  ///
  /// - Parameter rate: Bytes per second; nil for as fast as it goes.
  package func startScrub(collection: String?, shard: Int?, rate: Int?) -> ScrubProgress? {
    guard let scrubber = scrubber.withLock({ $0 }) else { return nil }
    let candidates = scrubber.candidates(collection: collection, shard: shard)
    let started = scrubber.state.change { state -> (CatalogScrub, ScrubProgress)? in
      let record = CatalogScrub(
        number: (state.jobs.keys.max() ?? 0) + 1, collection: collection, shard: shard,
        rate: rate, state: .running, startedAt: MonotonicTime.wallClockNanoseconds, endedAt: nil)
      state.add(record, candidates, now: .now)
      return state.jobs[record.number].map { (record, ScrubProgress($0, in: state, now: .now)) }
    }
    guard let (record, progress) = started else { return nil }
    scrubber.record(record)
    return progress
  }

  package func scrub(_ number: Int) -> ScrubProgress? {
    scrubs.first { $0.number == number }
  }

  /// The newest ones, in the order of their numbers.
  package var scrubs: [ScrubProgress] {
    guard let scrubber = scrubber.withLock({ $0 }) else { return [] }
    return scrubber.state.withLock { state in
      state.jobs.values.sorted { $0.record.number < $1.record.number }
        .map { ScrubProgress($0, in: state, now: .now) }
    }
  }

  /// Stops a scrub; one that has ended stays as it is.
  ///
  /// - Returns: nil when there is no such scrub.
  package func stopScrub(_ number: Int) -> ScrubProgress? {
    guard let scrubber = scrubber.withLock({ $0 }) else { return nil }
    let record = scrubber.state.change { state -> CatalogScrub? in
      guard state.jobs[number]?.record.state == .running else { return nil }
      state.jobs[number]?.record.state = .stopped
      state.jobs[number]?.record.endedAt = MonotonicTime.wallClockNanoseconds
      return state.jobs[number]?.record
    }
    if let record { scrubber.record(record) }
    return scrub(number)
  }
}

// MARK: - Integrity

/// One shard, as `/integrity` shows it.
package struct ShardIntegrity: Sendable {
  package let collection: Collection
  package let summary: Shard.Summary
  /// Row count in the header of embeddings.npy as it is now; nil when it cannot be read.
  package let headerRowCount: Int?
  /// Nanoseconds since 1970; nil when it was never read whole.
  package let verifiedAt: Int64?
  /// Found by the last verification, also where no row is touched.
  package let findings: [ShardDamage]
}

extension IngestService {
  package var shardIntegrity: [ShardIntegrity] {
    let known = scrubber.withLock { $0 }?.state.withLock { ($0.verifiedAt, $0.found) }
    return collections.flatMap { collection in
      collection.shards.map { shard in
        let target = ScrubTarget(collection: collection.uuid, shard: shard.identity.number)
        return ShardIntegrity(
          collection: collection, summary: shard.summary, headerRowCount: shard.headerRowCount,
          verifiedAt: known?.0[target], findings: known?.1[target] ?? [])
      }
    }
  }

  /// Collections that could not be opened or are lost, and damage of store.json and collection.json files.
  package var fileProblems: [String] {
    problems + (scrubber.withLock { $0 }?.state.withLock { $0.fileProblems } ?? [])
  }

  /// What a scrub of these cannot read, since it is not there or cannot be opened: files, collections, shards.
  ///
  /// - Parameters:
  ///   - collection: Nil for all.
  ///   - shard: Nil for all.
  package func problems(collection name: String?, shard: Int?) -> [String] {
    let lost = collections.filter { name == nil || $0.name == name }.flatMap { collection in
      collection.unusableShards.filter { shard == nil || $0.key == shard }
        .sorted { $0.key < $1.key }.map {
          "collection \(collection.name), shard \(ShardIdentity.directoryName($0.key)): \($0.value)"
        }
    }
    return (name == nil ? fileProblems : []) + lost
  }

  /// How long ago the shard that waits longest was verified, in seconds; nil when one never was.
  package var oldestVerifiedAgeSeconds: Double? {
    guard let scrubber = scrubber.withLock({ $0 }) else { return nil }
    let candidates = scrubber.candidates()
    return scrubber.state.withLock {
      $0.oldestAgeSeconds(candidates, now: MonotonicTime.wallClockNanoseconds)
    }
  }

  /// Some shard was not verified within the configured age.
  package var isScrubOverdue: Bool {
    guard let scrubber = scrubber.withLock({ $0 }) else { return false }
    let limit = configuration.scrubAge.seconds
    let candidates = scrubber.candidates()
    let now = MonotonicTime.wallClockNanoseconds
    return scrubber.state.withLock { state in
      candidates.contains { candidate in
        guard let verified = state.verifiedAt[candidate.target] else {
          return scrubber.began.duration(to: .now).seconds > limit
        }
        return Double(now - verified) / 1e9 > limit
      }
    }
  }

  /// The last verification of some shard found something, or a file of the store is damaged.
  package var hasFindings: Bool {
    !problems.isEmpty
      || scrubber.withLock { $0 }?.state.withLock { state in
        !state.fileProblems.isEmpty || state.catalogProblem != nil
          || state.found.values.contains { !$0.isEmpty }
      } ?? false
  }

  /// `pass`; `damaged` when the next start makes it again; `unusable` when there is none.
  package var catalogState: String {
    guard catalog != nil else { return "unusable" }
    let problem = scrubber.withLock { $0 }?.state.withLock { $0.catalogProblem }
    return problem == nil ? "pass" : "damaged"
  }

  /// Why the catalog does not say what the shards hold; nil when it does.
  package var catalogProblem: String? {
    guard catalog != nil else { return "there is no catalog; receipts are kept in memory" }
    return scrubber.withLock { $0 }?.state.withLock { $0.catalogProblem }
      ?? background.followerProblem
  }
}
