// What must be there, what may be, and what must not. Fed by Program.swift with what happened, asked after every
// crash and every fault.

import IngestService
import ShardStore

/// What a process and its clients know of the changes of a workload.
struct Model: Sendable {
  let workload: Workload
  /// In the order in which they were committed.
  private(set) var acknowledged: [Int] = []
  private(set) var receipts: [Int: Receipt] = [:]
  /// Changes that may be there, each as a whole.
  private(set) var unsettled: [(change: Int, isRefused: Bool)] = []
  private(set) var finishedSteps: Set<Int> = []
  private(set) var catalog = Evidence()
  /// As before the last compaction.
  private(set) var staleCatalog = Evidence()
  /// Ids that may be refused, since a row of theirs decayed.
  private(set) var damageable: Set<String> = []
  private(set) var isDecayed = false
  /// A shard could not be opened by some process, which went on without it.
  private(set) var wentOnWithout = false

  /// May lie in a shard that could not be opened.
  private var hidden: Set<Int> = []
  /// Sent again to a process that could not see the shard that may hold them, and may be there twice: nothing but
  /// that shard knew of them. See docs/decisions/0006-what-the-explorer-changed.md.
  private(set) var mayBeTwice: Set<Int> = []

  /// What a catalog would know: rows of each shard, and the last sequence.
  struct Evidence: Equatable {
    var rowCounts: [Int: Int] = [:]
    var sequence = 0
  }

  /// Something that happened, in the order of the disk's trace.
  enum Entry: Sendable {
    case started(Int)
    case acknowledged(Int, Receipt)
    case refused(Int)
    case finished(step: Int)
    case replaced([Int], by: Int, rowCount: Int)
    case decayed(Set<String>)
    /// A start has read what is there, and shows it; not whole when it had to leave a shard out.
    case recovered([Int], [Int: Receipt], Evidence, isWhole: Bool)

    /// Whether it leaves no more states than before: then those before it need not be looked at.
    var isStricter: Bool {
      switch self {
      case .acknowledged, .finished, .recovered: true
      case .started, .refused, .replaced, .decayed: false
      }
    }
  }

  init(_ workload: Workload) { self.workload = workload }

  mutating func note(_ entry: Entry) {
    switch entry {
    case .started(let change): unsettled.append((change, false))
    case .refused(let change):
      unsettled = unsettled.map { $0.change == change ? (change, true) : $0 }
    case .acknowledged(let change, let receipt):
      acknowledged.append(change)
      receipts[change] = receipt
      if wentOnWithout { mayBeTwice.formUnion(hidden.intersection([change])) }
      // What was refused before it is not committed by anything any more.
      unsettled.removeAll { $0.change == change || ($0.isRefused && !wentOnWithout) }
      catalog.rowCounts[receipt.shard] = max(
        catalog.rowCounts[receipt.shard] ?? 0, receipt.rows.upperBound)
      catalog.sequence = receipt.sequence
    case .finished(let step): finishedSteps.insert(step)
    case .replaced(let numbers, let number, let rowCount):
      staleCatalog = catalog
      for number in numbers { catalog.rowCounts[number] = nil }
      catalog.rowCounts[number] = rowCount
    case .decayed(let ids):
      isDecayed = true
      damageable = ids
    case .recovered(let commits, let found, let evidence, let isWhole):
      receipts.merge(found) { known, _ in known }
      wentOnWithout = !isWhole
      guard isWhole else {
        let seen = unsettled.map(\.change).filter(commits.contains)
        acknowledged += seen
        unsettled.removeAll { seen.contains($0.change) }
        hidden.formUnion(unsettled.map(\.change))
        return
      }
      acknowledged = once(commits)
      unsettled = []
      hidden = []
      catalog = evidence
    }
  }

  /// Changes that clients still have to send.
  func isMissing(_ change: Int) -> Bool { !acknowledged.contains(change) }

  // MARK: - Judging

  /// Everything acknowledged in its order; of what is unsettled, whole changes, and of what was under way no
  /// later one without those before it.
  func allows(_ found: [Int]) -> Bool {
    let commits = once(found)
    if wentOnWithout { return allowsBetween(commits) }
    guard commits.starts(with: acknowledged) else { return false }
    var rest = commits.dropFirst(acknowledged.count)
    var isHole = false
    for (change, isRefused) in unsettled {
      if rest.first == change {
        guard isRefused || !isHole else { return false }
        rest.removeFirst()
      } else if !isRefused {
        isHole = true
      }
    }
    return rest.isEmpty
  }

  /// The newest commit of what may be there twice.
  private func once(_ commits: [Int]) -> [Int] {
    commits.indices.filter { index in
      !mayBeTwice.contains(commits[index]) || !commits[(index + 1)...].contains(commits[index])
    }.map { commits[$0] }
  }

  /// What is unsettled may lie in a shard that was not seen, and what is acknowledged behind it.
  private func allowsBetween(_ commits: [Int]) -> Bool {
    Set(commits).count == commits.count
      && commits.filter(acknowledged.contains) == acknowledged
      && commits.allSatisfy { change in
        acknowledged.contains(change) || unsettled.contains { $0.change == change }
      }
  }

  func problems(_ contents: Contents) -> [String] {
    var problems = contents.problems
    if !allows(contents.commits) {
      problems.append(
        "P1-P3: commits \(contents.commits) are there, acknowledged \(acknowledged), "
          + "unsettled \(unsettled)")
    }
    // That of a deletion says where its record is now, and nobody can ask for it again.
    for (change, receipt) in contents.receipts where !workload.batches[change].isDeletion {
      guard let known = receipts[change], known != receipt else { continue }
      problems.append("P3: change \(change) has receipt \(receipt), and had \(known)")
    }
    var expected = workload.rows(after: contents.commits)
    for id in contents.refused {
      expected[id] = nil
      if !damageable.contains(id) { problems.append("\(id) is refused") }
    }
    if contents.rows != expected {
      problems.append("served are \(contents.rows), expected \(expected)")
    }
    return problems
  }
}
