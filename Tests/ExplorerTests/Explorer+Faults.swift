// Every operation of a workload fails, once and for ever. Then the disk works again: what was acknowledged is there,
// clients send the rest again, and nothing is there twice.

import DiskSimulation
import TestContent

extension Explorer {
  /// - Parameters:
  ///   - code: An error number.
  ///   - stride: One of so many operations.
  mutating func exploreFaults(_ code: Int32, isForEver: Bool, stride step: Int = 1) {
    let program = program(on: SimulatedDisk(), Model(workload), [])
    let count = program.countOperations { program.run() }
    for operation in Swift.stride(from: 0, to: count, by: step) where !isOver {
      explore(
        Fault(code: code, operation: operation, isForEver: isForEver), on: { SimulatedDisk() },
        Model(workload), [])
    }
  }

  /// One operation of a recovery fails.
  mutating func exploreFault(
    on disk: @autoclosure () -> SimulatedDisk, _ model: Model, _ path: [Incident],
    _ random: inout SeededGenerator
  ) {
    let probe = program(on: disk(), model, path)
    let count = probe.countOperations { _ = probe.check() }
    guard count > 0, let kind = Fault.names.randomElement(using: &random) else { return }
    let fault = Fault(
      code: kind.code, operation: Int.random(in: 0..<count, using: &random),
      isForEver: Bool.random(using: &random))
    explore(fault, on: disk, model, path)
  }

  private mutating func explore(
    _ fault: Fault, on disk: () -> SimulatedDisk, _ model: Model, _ start: [Incident]
  ) {
    let path = start + [.fault(fault)]
    let ended = program(on: disk(), model, start)
    ended.run(fault)
    for subset in [Subset.none, .all, .random(0), .random(1)] where !isOver {
      explorePowerCut(atTheEndOf: ended, subset, path)
    }
    let next = Program(after: ended, evidence: evidence(path + [.kill]))
    next.install(mutant)
    finish(next, path + [.kill])

    let retried = program(on: disk(), model, start)
    retried.run(fault)
    finish(retried, path + [.retry])
  }

  /// Everything is done, and then durable.
  private mutating func finish(_ program: Program, _ path: [Incident]) {
    guard !isOver else { return }
    counts.faults += 1
    let problems = program.check()
    report(problems, path)
    if problems.isEmpty { explorePowerCut(atTheEndOf: program, .none, path) }
  }

  private mutating func explorePowerCut(
    atTheEndOf program: Program, _ subset: Subset, _ path: [Incident]
  ) {
    var cut = PowerCut(program.disk, blockByteCount: 512)
    cut.advanceToEnd()
    let next = path + [.cut(Cut(blockByteCount: 512, event: cut.position, subset: subset))]
    let kept = subset.kept(cut.pieces, random(next))
    counts.faults += 1
    report(self.program(on: cut.disk { kept[$0] }, program.model, next).check(), next)
  }
}
