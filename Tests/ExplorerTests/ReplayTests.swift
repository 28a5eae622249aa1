// One state alone: the one that INGOT_REPLAY names, as a failing test prints it; and those that failed once.

import Testing

@Suite struct ReplayTests {
  @Test(
    .enabled(if: ExplorerTests.environment["INGOT_REPLAY"] != nil, "INGOT_REPLAY names no state"))
  func replaysTheStateThatINGOT_REPLAYNames() throws {
    let text = try #require(ExplorerTests.environment["INGOT_REPLAY"])

    let problems = try Self.replay(text, seed: ExplorerTests.seed)

    print("replayed \(text), seed \(ExplorerTests.seed): \(problems)")
    #expect(problems == [])
  }

  /// - Parameter text: `WORKLOAD/INCIDENT>INCIDENT…`
  static func replay(_ text: String, seed: UInt64) throws -> [String] {
    let parts = text.split(separator: "/", maxSplits: 1)
    let workload = try #require(parts.first.flatMap { Workload.named(String($0)) })
    let path = try #require(Incident.path(parts.count == 2 ? parts[1] : ""))
    return Explorer(workload, seed: seed).replay(path)
  }
}
