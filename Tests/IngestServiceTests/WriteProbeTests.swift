// Promises P8 and P11 without traffic: whether a durable write can succeed is found out, and room is kept for what has
// to be written. The same with a real disk: Tests/EndToEnd/test_health.py, test_disk_full.py.

import DiskSimulation
import Glibc
import Logging
import ShardStore
import SystemIO
import Testing

@testable import IngestService

@Suite struct WriteProbeTests {
  private struct Parts {
    let disk = SimulatedDisk()
    let layout = StoreLayout(root: "/store")
    let health = ServiceHealth()
    let admission: Admission
    let ballast: Ballast
    let probe: WriteProbe

    init(reserve: Int = 1 << 20) {
      try? disk.makeDirectory(layout.root)
      var configuration = ServiceConfiguration()
      configuration.diskReserveByteCount = reserve
      admission = Admission(configuration: configuration, disk: disk, root: layout.root)
      ballast = Ballast(
        disk: disk, layout: layout, admission: admission, reserveByteCount: reserve,
        logger: RealStore.logger)
      probe = WriteProbe(
        disk: disk, layout: layout, health: health, admission: admission, ballast: ballast,
        shardByteCount: 1 << 20, logger: RealStore.logger)
    }

    var names: [String]? { try? disk.names(inDirectory: layout.root) }
    var isAdmitted: Bool { (try? admission.admit(byteCount: 1)) != nil }
  }

  @Test(arguments: ["open", "pwrite", "fdatasync", "fsync", "unlink"])
  func turnsRedWhateverFailsAndGreenWhenItNoLongerDoes(operation: String) {
    let parts = Parts()
    parts.disk.setFault { name, _, _ in name == operation ? EIO : nil }

    parts.probe.probe()
    #expect(parts.health.snapshot.failure?.contains(operation) == true)
    #expect(parts.health.snapshot.secondsSinceDurableWrite == nil)

    parts.disk.setFault(nil)
    parts.probe.probe()
    #expect(parts.health.snapshot.failure == nil)
    #expect(parts.health.snapshot.secondsSinceDurableWrite != nil)
    #expect(parts.names == [])
  }

  @Test(arguments: [ENOSPC, EDQUOT, EFBIG])
  func findsNoRoomAndRoomThoughTheFreeSpaceStaysTheSame(code: Int32) {
    let parts = Parts()
    parts.disk.setFault { name, _, _ in name == "pwrite" ? code : nil }

    parts.probe.probe()
    #expect(!parts.isAdmitted)
    #expect(parts.health.snapshot.failure == nil)

    parts.disk.setFault(nil)
    parts.probe.probe()
    #expect(parts.isAdmitted)
  }

  /// A quota does not show in the free space, whatever that does meanwhile.
  @Test(arguments: [(10 << 20, true), (1 << 30, false)])
  func triesWhatWasFullAgainWhenMoreIsFreeUnlessThereWasPlenty(free: Int, isTriedAgain: Bool) {
    let parts = Parts()
    parts.disk.setFreeByteCount(free)
    parts.admission.recordFull(neededByteCount: 3000)
    #expect(!parts.isAdmitted)

    parts.disk.setFreeByteCount(free + (1 << 20))

    #expect(parts.isAdmitted == isTriedAgain)
    parts.probe.probe()
    #expect(parts.isAdmitted)
  }

  @Test func triesAsMuchAsTheBatchThatFoundNoRoom() {
    let parts = Parts()
    parts.admission.recordFull(neededByteCount: 3000)
    parts.disk.setFault { name, _, _ in name == "fallocate" ? EDQUOT : nil }

    parts.probe.probe()
    #expect(!parts.isAdmitted)

    parts.disk.setFault(nil)
    parts.probe.probe()
    #expect(parts.isAdmitted)
  }

  @Test func knowsHowLongAWriteHasBeenRunning() {
    let health = ServiceHealth()
    #expect(health.snapshot.secondsInWrite == 0)

    health.whileWriting { #expect(health.snapshot.secondsInWrite > 0) }

    #expect(health.snapshot.secondsInWrite == 0)
  }

  @Test func givesTheBallastOnceAndTakesItBackWithTheRoom() {
    let parts = Parts()
    parts.ballast.restore()
    #expect(parts.names == [".ballast"])
    #expect(!parts.ballast.release(), "there is room")

    parts.disk.setFreeByteCount(1000)
    #expect(parts.ballast.releaseCount == 0)
    #expect(parts.ballast.release())
    #expect(parts.names == [])
    #expect(!parts.ballast.release())
    #expect(parts.ballast.releaseCount == 1, "who failed meanwhile tries again")

    parts.ballast.restore()
    #expect(parts.names == [], "the reserve is reached")
    parts.disk.setFreeByteCount(2 << 20)
    parts.ballast.restore()
    #expect(parts.names == [".ballast"])
  }

  @Test func keepsNoBallastWithoutAReserveOrWithoutBlocks() {
    let parts = Parts(reserve: 0)
    parts.ballast.restore()
    #expect(parts.names == [])

    let unable = Parts()
    unable.disk.setFault { name, _, _ in name == "fallocate" ? EOPNOTSUPP : nil }
    unable.ballast.restore()
    #expect(unable.names == [])
  }
}
