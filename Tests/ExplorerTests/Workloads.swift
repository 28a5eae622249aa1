// The workloads that are explored: batches in every schedule, rewriting, repair, restarts, and random ones.

import TestContent

extension Workload {
  static func named(_ name: String) -> Workload? {
    if name.hasPrefix("random-") { return Int(name.dropFirst(7)).map(random) }
    return all.first { $0.name == name }
  }

  static let all = batches + rewriting + repairing + restarting

  /// Every number of batches up to three, with batches that fit together and batches that do not.
  static let batches: [Workload] = {
    let counts =
      [[1], [3], [1, 1], [1, 3], [3, 1], [3, 3]]
      + [[1, 1, 1], [1, 1, 3], [3, 1, 3], [3, 3, 3], [1, 3, 3], [5, 1, 1]]
    return counts.flatMap { rowCounts in
      Schedule.allCases.filter { rowCounts.count > 1 || $0 == .oneByOne }.map { schedule in
        let name = "batches-" + rowCounts.map(String.init).joined(separator: "+") + "-\(schedule)"
        return Workload(
          name,
          [
            .commit(
              rowCounts.enumerated().map { .batch(key: $0, rowCount: $1) }, schedule), .seal,
          ])
      }
    }
  }()

  private static func batch(_ key: Int, _ rowCount: Int) -> Step {
    .commit([.batch(key: key, rowCount: rowCount)], .oneByOne)
  }

  private static func delete(_ ids: String...) -> Step { .commit([.deletion(ids)], .oneByOne) }

  static let rewriting = [
    Workload("delete-and-write-again", [batch(1, 2), delete("1-0"), batch(1, 1)]),
    Workload("delete-first", [delete("none"), batch(1, 1), delete("1-0")]),
    Workload(
      "compact", [batch(1, 3), batch(2, 3), batch(1, 3), .seal, .compact, delete("2-1")]),
    Workload(
      "compact-twice",
      [
        batch(1, 3), batch(2, 3), delete("1-0", "2-2"), batch(3, 3), batch(4, 3), .seal, .compact,
        batch(2, 3), .seal, .compact,
      ]),
    Workload(
      "compact-all-dead",
      [batch(1, 4), batch(1, 4), batch(1, 4), batch(2, 1), .seal, .compact]),
  ]

  /// One bit of each file that can be made again, and of a row, which cannot.
  static let repairing = [
    Workload(
      "repair-index",
      [batch(1, 3), batch(2, 3), .seal, .decay(.index), .scrub, batch(3, 1)]),
    Workload(
      "repair-header",
      [batch(1, 3), batch(2, 3), .seal, .decay(.header), .scrub, batch(3, 1)]),
    Workload(
      "repair-log",
      [
        batch(1, 1), delete("1-0"), batch(1, 1), batch(2, 1), batch(4, 1), batch(5, 3), .seal,
        .decay(.log), batch(3, 1),
      ]),
    Workload(
      "quarantine",
      [batch(1, 3), batch(2, 3), .seal, .decay(.row(1)), .scrub, batch(3, 1)]),
  ]

  static let restarting = [
    Workload(
      "restart",
      [
        batch(1, 1), .restart,
        .commit([.batch(key: 2, rowCount: 1), .batch(key: 3, rowCount: 3)], .overlapped), .restart,
        .seal, delete("2-0"), .restart, batch(2, 1),
      ]),
    Workload("stop", [batch(1, 1), .stop, batch(2, 1), batch(3, 3), .seal, .stop, batch(4, 1)]),
  ]

  /// Any steps in any order.
  static func random(_ number: Int) -> Workload {
    var random = SeededGenerator(seed: UInt64(number))
    var steps: [Step] = []
    var keys = [0]
    for _ in 0..<Int.random(in: 3...7, using: &random) {
      switch Int.random(in: 0..<12, using: &random) {
      case 0...5:
        let changes = (0..<Int.random(in: 1...3, using: &random)).map { _ in
          let key = Int.random(in: 1...4, using: &random)
          keys.append(key)
          return Change.batch(key: key, rowCount: Int.random(in: 1...4, using: &random))
        }
        steps.append(.commit(changes, Schedule.allCases.randomElement(using: &random)!))
      case 6, 7: steps.append(delete("\(keys.randomElement(using: &random)!)-0"))
      case 8: steps += [.seal, .compact]
      case 9: steps.append(.seal)
      case 10: steps.append(.restart)
      default: steps.append(.stop)
      }
    }
    return Workload("random-\(number)", steps)
  }
}
