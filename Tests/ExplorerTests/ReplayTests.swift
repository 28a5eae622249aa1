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

  @Test(arguments: [
    "batches-1+1+3-overlapped/512@56:upTo1>EDQUOT+37>512@43:none",
    "repair-header/512@57:random1>EROFS+140>512@94:none",
    "repair-index/EIO*96>retry>512@124:none",
    "compact-twice/4096@80:someNamesAndBytes0>512@30:random0>kill",
    "repair-log/512@84:random20>EINTR+9>512@70:none",
    "repair-header/512@34:only8>512@63:random0>512@24:random0",
  ])
  func readsWhatItPrintsAndMakesTheSameStateAgain(text: String) throws {
    let path = try #require(Incident.path(text.drop { $0 != "/" }.dropFirst()))

    #expect(text.hasSuffix(Explorer.text(path)))
    #expect(try Self.replay(text, seed: 7) == [])
  }

  /// - Parameter text: `WORKLOAD/INCIDENT>INCIDENT…`
  static func replay(_ text: String, seed: UInt64) throws -> [String] {
    let parts = text.split(separator: "/", maxSplits: 1)
    let workload = try #require(parts.first.flatMap { Workload.named(String($0)) })
    let path = try #require(Incident.path(parts.count == 2 ? parts[1] : ""))
    return Explorer(workload, seed: seed).replay(path)
  }
}
