// store.json and collection.json: read back as they were written, and not at all when a bit of them is wrong.

import DiskSimulation
import SystemIO
import Testing

@testable import IngestService

@Suite struct OnceFileTests {
  @Test func isDamagedWhicheverBitIsFlipped() throws {
    let disk = SimulatedDisk()
    let written = CollectionFile(
      collectionUUID: "01020304-0506-0708-090a-0b0c0d0e0f10", dimension: 384, dtype: "float32")
    try written.write("/collection.json", inDirectory: "/", disk: disk)
    let byteCount = try disk.openFile("/collection.json", for: .read).byteCount()
    func read() throws(StoreProblem) -> CollectionFile {
      try CollectionFile.read("/collection.json", disk: disk)
    }
    #expect(try read().dimension == 384)

    for bit in 0..<(byteCount * 8) {
      disk.flipBit(bit, in: "/collection.json")
      do throws(StoreProblem) {
        _ = try read()
        Issue.record("bit \(bit) is flipped and it is read")
      } catch {
        guard case .damagedFile = error else {
          Issue.record("bit \(bit): \(error)")
          continue
        }
      }
      disk.flipBit(bit, in: "/collection.json")
    }

    #expect(try read().collectionUUID == written.collectionUUID)
  }
}
