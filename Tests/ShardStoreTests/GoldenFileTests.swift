// Files of format version 1 as they were first written. They are never changed: what is on disks must stay readable.
// embeddings.npy there was written by NumPy's np.save, the others by ShardWriter and ShardSealer.

import DiskSimulation
import Foundation
import ShardStore
import SystemIO
import TestContent
import Testing

@Suite struct GoldenFileTests {
  private let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .appendingPathComponent("../Data/golden")
  private let names = ["embeddings.npy", "commits.log", "ids.index"]

  private func golden(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: directory.appendingPathComponent(name)))
  }

  @Test func writesTheSameBytesAgain() throws {
    let fixture = ShardFixture()
    try fixture.writeSealed([3, 2])

    for name in names {
      let bytes = try fixture.bytes(fixture.layout().root + "/" + name)
      // Only for a new format version: writes the files that are then looked at and committed.
      if let target = ProcessInfo.processInfo.environment["INGOT_WRITE_GOLDEN"] {
        try Data(bytes).write(to: URL(fileURLWithPath: target).appendingPathComponent(name))
      }
      #expect(try bytes == golden(name), "\(name)")
    }
  }

  @Test func opensAndVerifiesThem() throws {
    let fixture = ShardFixture()
    try fixture.disk.makeDirectory(fixture.layout().root)
    for name in names {
      let file = try fixture.disk.createFile(fixture.layout().root + "/" + name)
      try file.write(try golden(name), at: 0)
    }

    let shard = try fixture.open().shard
    let row = shard.newest(
      ofID: Array("2-1".utf8), hash: IDList(["2-1"]).hash(0, seed: seed(fixture)))
    let values = try shard.withRows(4..<5) { $0.bindMemory(to: Float.self).map(\.self) }

    #expect(shard.summary.isSealed && shard.rowCount == 5)
    #expect(row == .row(4))
    #expect(values == (8..<16).map { Float(2000 + $0) + 0.5 })
    #expect(fixture.verify().damage == [])
    #expect(fixture.verify().notes == [])
  }

  private func seed(_ fixture: ShardFixture) -> UInt64 { fixture.identity(0).idHashSeed }
}
