// What the scrub knows and is to do next. Decides, and has no effects: those are in Scrubber.swift.

internal import Catalog
internal import ShardStore
internal import SystemIO

/// One shard of one collection.
struct ScrubTarget: Hashable, Sendable {
  /// The collection's UUID.
  let collection: String
  let shard: Int
}

/// A shard that is there, with what a scrub reads of it.
struct ScrubCandidate: Sendable {
  let target: ScrubTarget
  let byteCount: Int
}

/// A scrub that somebody asked for, on its way.
struct ScrubJob: Sendable {
  var record: CatalogScrub
  /// The shards that are still to be read.
  var rest: [ScrubTarget]
  var totalByteCount: Int
  private(set) var checkedByteCount = 0
  var damagedRowCount = 0
  var damagedShardCount = 0
  private let byteCounts: [ScrubTarget: Int]
  /// When it was its turn in this process, and how much was checked before or by others; nil while it waits.
  private var turn: (began: MonotonicTime, checkedByteCount: Int)?

  /// - Parameter began: nil for one that has to wait.
  init(
    record: CatalogScrub, rest: [ScrubCandidate], totalByteCount: Int, began: MonotonicTime?
  ) {
    self.record = record
    self.rest = rest.map(\.target)
    self.totalByteCount = totalByteCount
    checkedByteCount = totalByteCount - rest.reduce(0) { $0 + $1.byteCount }
    byteCounts = Dictionary(rest.map { ($0.target, $0.byteCount) }, uniquingKeysWith: max)
    turn = began.map { ($0, checkedByteCount) }
  }

  mutating func didRead(byteCount: Int, at now: MonotonicTime) {
    turn = turn ?? (now, checkedByteCount)
    checkedByteCount += byteCount
  }

  /// A shard of the rest was read, and not for this job.
  mutating func didReadOther(_ target: ScrubTarget) {
    let byteCount = byteCounts[target] ?? 0
    checkedByteCount += byteCount
    turn?.checkedByteCount += byteCount
  }

  /// As fast as until now, and not faster than the rate; nil before anything was read.
  func remainingSeconds(at now: MonotonicTime) -> Double? {
    guard record.state == .running, let turn else { return nil }
    let checked = checkedByteCount - turn.checkedByteCount
    guard checked > 0 else { return nil }
    let rest = Double(max(0, totalByteCount - checkedByteCount))
    let seconds = turn.began.duration(to: now).seconds
    return max(seconds * rest / Double(checked), record.rate.map { rest / Double($0) } ?? 0)
  }
}

struct ScrubState {
  var jobs: [Int: ScrubJob] = [:]
  /// To be read before all others, since a read or a start found damage.
  var urgent: [ScrubTarget: String] = [:]
  /// Nanoseconds since 1970.
  var verifiedAt: [ScrubTarget: Int64] = [:]
  /// What the last verification found, whether or not rows are touched.
  var found: [ScrubTarget: [ShardDamage]] = [:]
  /// store.json and collection.json.
  var fileProblems: [String] = []
  /// What is wrong with the catalog as a database.
  var catalogProblem: String?
  var catalogCheckedAt: MonotonicTime?
  var isClosed = false

  /// A shard to read now.
  struct Work: Sendable {
    let target: ScrubTarget
    /// Nil when nobody asked.
    let job: Int?
    /// `read`, `start` or `scrub`.
    let cause: String
    /// Bytes per second; nil for as fast as it goes.
    let rate: Int?
  }

  /// What to read next.
  ///
  /// - Parameters:
  ///   - candidates: All shards.
  ///   - now: Nanoseconds since 1970; a clock that was set back makes nothing younger than now.
  func next(
    _ candidates: [ScrubCandidate], rate: Int, age: Duration, now: Int64
  ) -> Work? {
    if let (target, cause) = urgent.first {
      return Work(target: target, job: nil, cause: cause, rate: nil)
    }
    let running = jobs.values.filter { $0.record.state == .running }
    if let job = running.min(by: { $0.record.number < $1.record.number }),
      let target = job.rest.first
    {
      return Work(
        target: target, job: job.record.number, cause: "scrub", rate: job.record.rate)
    }
    // Half of the age: then the other half is there for reading.
    let due = candidates.filter { candidate in
      guard let verified = verifiedAt[candidate.target] else { return true }
      return now - min(verified, now) > age.nanoseconds / 2
    }
    let oldest = due.min { (verifiedAt[$0.target] ?? 0) < (verifiedAt[$1.target] ?? 0) }
    guard let oldest else { return nil }
    let byteCount = due.reduce(0) { $0 + $1.byteCount }
    let needed = Double(byteCount) / max(1, age.seconds / 2)
    return Work(
      target: oldest.target, job: nil, cause: "scrub", rate: max(rate, Int(min(needed, 1e15))))
  }

  /// Makes a job of a request, or of one that a restart found running.
  mutating func add(
    _ record: CatalogScrub, _ candidates: [ScrubCandidate], now: MonotonicTime
  ) {
    let rest = candidates.filter { (verifiedAt[$0.target] ?? .min) <= record.startedAt }
    let total = candidates.reduce(0) { $0 + $1.byteCount }
    jobs[record.number] = ScrubJob(
      record: record, rest: rest, totalByteCount: total,
      began: jobs.values.contains { $0.record.state == .running } ? nil : now)
    // What ended long ago is in the catalog.
    let ended = jobs.values.filter { $0.record.state != .running }.map(\.record.number).sorted()
    for number in ended.dropLast(Self.endedJobCountMax) { jobs[number] = nil }
  }

  private static let endedJobCountMax = 100

  /// The scrub that has to end before this one goes on; nil when it is its turn, or it has ended.
  func turn(before number: Int) -> Int? {
    guard jobs[number]?.record.state == .running else { return nil }
    let running = jobs.values.filter { $0.record.state == .running }.map(\.record.number)
    return running.min().flatMap { $0 < number ? $0 : nil }
  }

  /// A job that is to read everything has only the catalog left.
  var isStoreRead: Bool {
    jobs.values.contains {
      $0.record.state == .running && $0.rest.isEmpty && $0.record.shard == nil
    }
  }

  /// Ends the jobs that have nothing left to read.
  ///
  /// - Returns: those that ended now.
  mutating func endJobs(now: Int64) -> [CatalogScrub] {
    var ended: [CatalogScrub] = []
    for number in jobs.keys.sorted() {
      guard var job = jobs[number], job.record.state == .running, job.rest.isEmpty else { continue }
      job.record.state = .done
      job.record.endedAt = now
      jobs[number] = job
      ended.append(job.record)
    }
    return ended
  }

  /// A shard was read: no job has to read it again.
  ///
  /// - Parameter reader: The job whose bytes were counted while they were read.
  mutating func finish(_ target: ScrubTarget, readFor reader: Int? = nil) {
    let damage = found[target] ?? []
    urgent[target] = nil
    for number in jobs.keys {
      guard var job = jobs[number], job.record.state == .running,
        let place = job.rest.firstIndex(of: target)
      else { continue }
      job.rest.remove(at: place)
      if number != reader { job.didReadOther(target) }
      job.damagedRowCount += damage.reduce(0) { $0 + $1.rows.count }
      job.damagedShardCount += damage.isEmpty ? 0 : 1
      jobs[number] = job
    }
  }

  /// Another shard stands in the place of these: what was known of them is not true of it.
  mutating func forget(_ targets: [ScrubTarget]) {
    for target in targets {
      verifiedAt[target] = nil
      found[target] = nil
      urgent[target] = nil
    }
  }

  /// The rate of work that goes on; what nobody asked for makes way for what somebody waits for.
  func rate(of work: Work) -> Int? {
    guard work.job == nil, work.rate != nil else { return work.rate }
    if !urgent.isEmpty { return nil }
    let waiting = jobs.values.filter { $0.record.state == .running }
    guard let first = waiting.min(by: { $0.record.number < $1.record.number }) else {
      return work.rate
    }
    return first.record.rate
  }

  /// When the shard that was not verified for longest was, in seconds; nil without shards.
  func oldestAgeSeconds(_ candidates: [ScrubCandidate], now: Int64) -> Double? {
    let verified = candidates.map { verifiedAt[$0.target] }
    guard !verified.isEmpty, verified.allSatisfy({ $0 != nil }) else { return nil }
    return verified.compactMap(\.self).min().map { max(0, Double(now - $0) / 1e9) }
  }
}
