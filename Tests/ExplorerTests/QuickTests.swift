// The explorer in seconds, over every kind of step: for whoever changes a line and wants to know, and for mutants of the
// source. Everything: ExplorerTests.swift, FaultTests.swift.

import Glibc
import Testing

@Suite struct QuickTests {
  static let names =
    [
      "batches-3+1+3-overlapped", "batches-1+1+3-duringSync", "batches-3+3-grouped",
      "delete-and-write-again", "delete-first", "compact", "restart", "stop",
    ] + Workload.repairing.map(\.name)

  @Test(arguments: names)
  func keepsItsPromises(name: String) throws {
    let workload = try #require(Workload.named(name))
    var explorer = Explorer(
      workload, seed: ExplorerTests.seed,
      effort: Explorer.Effort(
        randomCount: 2, nestedEvery: 300, faultyRecoveryEvery: 60, violationMax: 1))

    explorer.explorePowerCuts()
    explorer.exploreFaults(EIO, isForEver: false, stride: 3)
    explorer.exploreFaults(ENOSPC, isForEver: true, stride: 9)

    #expect(explorer.violations == [])
    #expect(explorer.counts.total > 100)
  }
}
