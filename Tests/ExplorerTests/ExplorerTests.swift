// Promises P1 to P6, P8 and P9 in every state that the explorer reaches. Workloads: Workloads.swift.
// In short form more than two hundred thousand states; with INGOT_THOROUGH=1 more than a million.

import DiskSimulation
import Foundation
import Glibc
import Testing

@Suite struct ExplorerTests {
  static let environment = ProcessInfo.processInfo.environment
  static let isThorough = environment["INGOT_THOROUGH"] == "1"
  /// The short run is the same each time; the thorough one goes to new places.
  static let seed =
    environment["INGOT_SEED"].flatMap(UInt64.init)
    ?? (isThorough ? .random(in: .min ... .max) : 0x1A60_7E57_0000_0001)

  static let randomWorkloads = (0..<(isThorough ? 200 : 6)).map { number in
    Workload.random(Int(truncatingIfNeeded: seed >> 40) &* 1000 + number)
  }

  @Test(arguments: (Workload.all + randomWorkloads).map(\.name))
  func keepsItsPromisesAtEveryPowerCut(name: String) throws {
    let workload = try #require(Workload.named(name))
    var explorer = Explorer(
      workload, seed: Self.seed, effort: Self.isThorough ? .thorough : Explorer.Effort())

    explorer.explorePowerCuts()

    Self.finish(
      explorer, ["A2", "A3", "A4", "A5", "A6", "A7", "A8", "A9", "A10"],
      test: "ExplorerTests.\(#function)")
  }

  static func finish(_ explorer: Explorer, _ faults: [String], test: String) {
    for violation in explorer.violations { Issue.record("\(violation)") }
    print("explored \(explorer.workload.name): \(explorer.counts), seed \(explorer.seed)")
    #expect(explorer.counts.total > 10)
    FaultCounts.record(
      faults, test: "\(test.prefix { $0 != "(" })",
      injections: explorer.counts.total, violations: explorer.violations.count)
  }
}
