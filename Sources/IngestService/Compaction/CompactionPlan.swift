// Which shards are to be written anew, and which of them together. No effects: those are in Compactor.swift.

internal import ShardStore
internal import SystemIO

/// Groups of shards; each becomes one shard.
package struct CompactionPlan: Sendable {
  struct Rules: Sendable {
    /// A shard with at least this share of dead rows is written anew.
    var deadPercent: Int
    /// Rows of a full shard.
    var rowCapacity: Int
    /// Records of batches and deletions are kept for ever, also when no row of theirs is left.
    var logByteCountMax: Int
  }

  /// What is to be known of one shard.
  struct Candidate: Sendable {
    let number: Int
    let rowCount: Int
    let liveRowCount: Int
    let logByteCount: Int
    /// Sealed, or closed with damage of which every row is dead; no live row of it is damaged or lost.
    let isCompactable: Bool

    func isDead(_ rules: Rules) -> Bool {
      let deadCount = rowCount - liveRowCount
      return deadCount > 0 && deadCount * 100 >= rowCount * rules.deadPercent
    }

    func isSmall(_ rules: Rules) -> Bool { liveRowCount * 2 <= rules.rowCapacity }
  }

  /// Numbers of shards, in their order.
  package private(set) var groups: [[Int]] = []

  /// - Parameter candidates: All shards in the order of their numbers; one that is lost is not compactable.
  init(_ candidates: [Candidate], rules: Rules) {
    var group: [Candidate] = []
    for candidate in candidates {
      let isWanted =
        candidate.isCompactable && (candidate.isDead(rules) || candidate.isSmall(rules))
      let rowCount = group.reduce(0) { $0 + $1.liveRowCount } + candidate.liveRowCount
      let logByteCount = group.reduce(0) { $0 + $1.logByteCount } + candidate.logByteCount
      if !isWanted || rowCount > rules.rowCapacity || logByteCount > rules.logByteCountMax {
        add(group, rules)
        group = []
      }
      if isWanted { group.append(candidate) }
    }
    add(group, rules)
  }

  /// A small shard alone is left as it is.
  private mutating func add(_ group: [Candidate], _ rules: Rules) {
    guard group.count > 1 || group.contains(where: { $0.isDead(rules) }) else { return }
    groups.append(group.map(\.number))
  }
}
