// Promise P8 before the body: bytes in flight and the disk reserve, with hysteresis.

import DiskSimulation
import IngestService
import SystemIO
import Testing

@Suite struct AdmissionTests {
  private let disk = SimulatedDisk()

  private func admission(reserve: Int = 1000, inFlight: Int = 100) -> Admission {
    var configuration = ServiceConfiguration()
    configuration.diskReserveByteCount = reserve
    configuration.inFlightByteCountMax = inFlight
    return Admission(configuration: configuration, disk: disk, root: "/")
  }

  private func isAdmitted(_ admission: Admission, _ byteCount: Int = 1) -> Bool {
    (try? admission.admit(byteCount: byteCount)) != nil
  }

  @Test func boundsBytesInFlightAndTakesThemBack() throws {
    let admission = admission()
    var permit: Admission.Permit? = try admission.admit(byteCount: 60)

    #expect(!isAdmitted(admission, 41))
    #expect(isAdmitted(admission, 40))
    #expect(permit?.grow(by: 40) == true)
    #expect(permit?.grow(by: 1) == false)
    #expect(admission.inFlightByteCount == 100)

    permit = nil
    #expect(admission.inFlightByteCount == 0)
    #expect(isAdmitted(admission, 100))
  }

  @Test func refusesBelowTheReserveAndGoesOnATenthAboveIt() {
    let admission = admission()
    var answers: [Bool] = []

    for free in [2000, 1001, 999, 1001, 1098, 1101, 1050, 1001, 999] {
      disk.setFreeByteCount(free)
      answers.append(isAdmitted(admission))
    }

    #expect(answers == [true, true, false, false, false, true, true, true, false])
  }

  @Test func refusesOneLargeBodyAndNotTheSmallOnes() {
    let admission = admission(inFlight: 10_000)
    disk.setFreeByteCount(1500)

    #expect(!isAdmitted(admission, 501))
    #expect(!admission.isFull)
    #expect(isAdmitted(admission, 500))
  }

  @Test func isFullWhenABodyLikeTheLastWouldNotFit() {
    let admission = admission(inFlight: 10_000)
    disk.setFreeByteCount(1500)
    #expect(isAdmitted(admission, 400))
    #expect(!admission.isFull)

    disk.setFreeByteCount(1399)
    #expect(admission.isFull)
    #expect(isAdmitted(admission, 100))
    #expect(!admission.isFull)
  }

  @Test func saysHowMuchIsNeededAndFree() {
    let admission = admission()
    disk.setFreeByteCount(10)

    let error = #expect(throws: IngestError.self) { _ = try admission.admit(byteCount: 5) }

    guard case .diskFull(1005, 10, "reserve") = error else {
      return #expect(Bool(false), "\(String(describing: error))")
    }
  }
}
