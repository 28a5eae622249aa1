// Promises P1, P2, P3, P8 and P9 when an operation of the disk fails: each one, once and for ever. EINTR and short
// writes end within SystemIO/RealFile.swift where they may be repeated, so that the interface `Disk` does not show them;
// what passes it, a sync that was interrupted, is an error like any other here.

import Foundation
import Glibc
import Testing

@Suite struct FaultTests {
  struct Kind: CustomTestStringConvertible {
    let code: Int32
    let isForEver: Bool
    let faults: [String]

    var testDescription: String {
      (Fault.names.first { $0.code == code }?.name ?? "\(code)")
        + (isForEver ? " for ever" : " once")
    }
  }

  static let kinds = [
    Kind(code: EIO, isForEver: false, faults: ["C1", "C2", "C8"]),
    Kind(code: EIO, isForEver: true, faults: ["C3"]),
    Kind(code: ENOSPC, isForEver: false, faults: ["B1", "B4", "C1"]),
    Kind(code: ENOSPC, isForEver: true, faults: ["B1", "B4", "B6"]),
    Kind(code: EDQUOT, isForEver: true, faults: ["B8"]),
    Kind(code: EROFS, isForEver: true, faults: ["C6"]),
    Kind(code: EINTR, isForEver: false, faults: ["C4"]),
  ]

  static let names =
    [
      "batches-1+3+3-oneByOne", "batches-3+1+3-overlapped", "batches-3+3+3-grouped",
      "batches-1+3+3-duringSync", "delete-and-write-again", "compact-twice", "restart", "stop",
    ] + Workload.repairing.map(\.name)

  @Test(arguments: names, kinds)
  func keepsWhatWasAcknowledgedWhicheverOperationFails(name: String, kind: Kind) throws {
    let workload = try #require(Workload.named(name))
    var explorer = Explorer(workload, seed: ExplorerTests.seed)
    // Every operation once with EIO and ENOSPC; what else may come takes the same ways out.
    let isWhole = ExplorerTests.isThorough || (kind.code == EIO && !kind.isForEver)

    explorer.exploreFaults(kind.code, isForEver: kind.isForEver, stride: isWhole ? 1 : 4)

    ExplorerTests.finish(explorer, kind.faults, test: "FaultTests.\(#function)")
  }
}
