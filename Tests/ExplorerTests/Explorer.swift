// Walks through the trace of a workload and looks at every state that a power cut could leave, and at those that
// follow when the power goes again. Faults: Explorer+Faults.swift. What is looked at: Program+Check.swift.

import DiskSimulation
import TestContent

struct Explorer {
  let workload: Workload
  let seed: UInt64
  let effort: Effort
  /// The program without some of its syncs.
  let mutant: Mutant?
  var counts = Counts()
  private(set) var violations: [String] = []

  struct Effort: Sendable {
    /// Random subsets of what is not durable, at each event.
    var randomCount = 6
    /// In one of so many states the power goes again while it is recovered.
    var nestedEvery: UInt64 = 400
    /// In one of so many of those once more.
    var deepEvery: UInt64 = 100
    /// In one of so many states an operation of the recovery fails.
    var faultyRecoveryEvery: UInt64 = 100
    /// Ends an exploration.
    var violationMax = 3

    /// For a mutant: until the first violation.
    static let mutant = Effort(randomCount: 4, nestedEvery: 40, violationMax: 1)
    static let thorough = Effort(
      randomCount: 40, nestedEvery: 16, deepEvery: 64, faultyRecoveryEvery: 10)
  }

  struct Counts {
    var powerCuts = 0
    var duringRecovery = 0
    var faults = 0
    var total: Int { powerCuts + duringRecovery + faults }
  }

  init(
    _ workload: Workload, seed: UInt64, effort: Effort = Effort(), mutant: Mutant? = nil
  ) {
    self.workload = workload
    self.seed = seed
    self.effort = effort
    self.mutant = mutant
  }

  var isOver: Bool { violations.count >= effort.violationMax }

  // MARK: - Power cuts

  mutating func explorePowerCuts() {
    let program = program(on: SimulatedDisk(), Model(workload), [])
    report(program.check(), [])
    explore(program, from: Model(workload), [], depth: 0)
  }

  /// - Parameters:
  ///   - program: has run.
  ///   - base: What was known when its trace began.
  private mutating func explore(
    _ program: Program, from base: Model, _ path: [Incident], depth: Int
  ) {
    let entries = program.entries
    for blockByteCount in depth == 0 ? [512, 4096] : [512] {
      var cut = PowerCut(program.disk, blockByteCount: blockByteCount)
      var model = base
      while !isOver {
        if !Self.isMadeStricter(cut, entries) { explore(cut, model, path, depth: depth) }
        if cut.isAtEnd { break }
        if let number = cut.advance() { model.note(entries[number]) }
      }
    }
  }

  /// The next event leaves the disk as it is, and allows less.
  private static func isMadeStricter(_ cut: PowerCut, _ entries: [Model.Entry]) -> Bool {
    guard case .note(let number) = cut.next else { return false }
    return entries[number].isStricter
  }

  /// Looks at the states of one moment, each once.
  private mutating func explore(
    _ cut: PowerCut, _ model: Model, _ path: [Incident], depth: Int
  ) {
    let subsets =
      depth == 0
      ? Subset.all(
        count: cut.pieces.count, randomCount: cut.pieces.count > 1 ? effort.randomCount : 0)
      : [.random(0)]
    var seen: Set<[Bool]> = []
    for subset in subsets where !isOver {
      let next =
        path + [
          .cut(Cut(blockByteCount: cut.blockByteCount, event: cut.position, subset: subset))
        ]
      let kept = subset.kept(cut.pieces, random(next))
      guard seen.insert(kept).inserted else { continue }
      if depth == 0 { counts.powerCuts += 1 } else { counts.duringRecovery += 1 }
      let disk = cut.disk { kept[$0] }
      let program = program(on: disk, model, next)
      report(program.check(), next)
      goDeeper(program, cut.disk { kept[$0] }, model, next, depth: depth)
    }
  }

  /// The same once more from the middle of what the program did, and with faults.
  private mutating func goDeeper(
    _ program: Program, _ disk: @autoclosure () -> SimulatedDisk, _ model: Model,
    _ path: [Incident], depth: Int
  ) {
    guard depth < 2 else { return }
    var random = random(path, "deeper")
    let isNested = random.next() % (depth == 0 ? effort.nestedEvery : effort.deepEvery) == 0
    if isNested {
      // A start shows what it found: the next one finds the same.
      var base = model
      for entry in program.entries {
        guard case .recovered = entry else { continue }
        base.note(entry)
        break
      }
      explore(program, from: base, path, depth: depth + 1)
    }
    if depth == 0, random.next() % effort.faultyRecoveryEvery == 0 {
      exploreFault(on: disk(), model, path, &random)
    }
  }

  // MARK: - Programs

  /// A process at the end of a path.
  func program(on disk: SimulatedDisk, _ model: Model, _ path: [Incident]) -> Program {
    let program = Program(on: disk, model, evidence: evidence(path))
    program.install(mutant)
    return program
  }

  func evidence(_ path: [Incident]) -> Program.EvidenceKind {
    var random = random(path, "catalog")
    return Program.EvidenceKind.allCases.randomElement(using: &random) ?? .none
  }

  /// Known from the seed and the path alone, so that each state can be made again.
  func random(_ path: [Incident], _ purpose: String = "") -> SeededGenerator {
    SeededGenerator(seed: seed, Self.text(path) + purpose)
  }

  mutating func report(_ problems: [String], _ path: [Incident]) {
    guard !problems.isEmpty else { return }
    violations.append(
      "\(problems.joined(separator: "\n  "))\n  INGOT_SEED=\(seed) "
        + "INGOT_REPLAY='\(workload.name)/\(Self.text(path))'")
  }

  static func text(_ path: [Incident]) -> String {
    path.map(\.description).joined(separator: ">")
  }
}

extension Explorer {
  /// Runs exactly one state.
  ///
  /// - Returns: what is not as it must be.
  func replay(_ path: [Incident]) -> [String] {
    var done: [Incident] = []
    var base = Model(workload)
    var current = program(on: SimulatedDisk(), base, [])
    var fault: Fault?
    for incident in path {
      if case .fault(let found) = incident {
        fault = found
        done.append(incident)
        continue
      }
      if fault == nil { _ = current.check() } else { current.run(fault) }
      fault = nil
      done.append(incident)
      switch incident {
      case .fault, .retry: break
      case .kill: current = Program(after: current, evidence: evidence(done))
      case .cut(let place):
        let entries = current.entries
        if done.dropLast().contains(where: { if case .cut = $0 { true } else { false } }) {
          for entry in entries {
            guard case .recovered = entry else { continue }
            base.note(entry)
            break
          }
        }
        var cut = PowerCut(current.disk, blockByteCount: place.blockByteCount)
        while cut.position < place.event, !cut.isAtEnd {
          if let number = cut.advance() { base.note(entries[number]) }
        }
        let kept = place.subset.kept(cut.pieces, random(done))
        current = program(on: cut.disk { kept[$0] }, base, done)
      }
    }
    return current.check()
  }
}
