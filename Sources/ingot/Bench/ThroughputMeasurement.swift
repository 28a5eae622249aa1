// The ordinary measurement: Ingot, and in turn with it the bare server and the bare parser.

/// Runs all rounds against one server.
struct ThroughputMeasurement {
  private let settings: BenchSettings
  private let progress: BenchProgress
  private let ids = BatchIDs()
  private let load: LoadGenerator

  init(_ settings: BenchSettings, progress: BenchProgress) {
    self.settings = settings
    self.progress = progress
    progress.say("building bodies")
    load = LoadGenerator(
      settings.shape, connectionCount: settings.connectionCount, ids: ids)
  }

  /// - Parameter session: For the servers that are started.
  func run(_ session: BenchSession) throws(BenchError) -> ThroughputReport {
    let floor = settings.hasFloor ? try FloorServerUnderTest(session) : nil
    if let address = settings.url { return try run(address, floor: floor) }
    let server = try ServerUnderTest(
      session, store: session.newPath("store"), flags: settings.serverFlags)
    let memory = ServerMemory(of: server.process)
    var report = try run(server.address, floor: floor)
    report.serverMemory = memory.stop()
    return report
  }

  private func run(
    _ address: ServerAddress, floor: FloorServerUnderTest?
  ) throws(BenchError) -> ThroughputReport {
    let target = settings.target(address, format: settings.shape.format)
    try target.createCollection(dimension: settings.shape.dimension)
    if settings.fillRowCount > 0 {
      progress.say("storing \(settings.fillRowCount) rows")
      try settings.fill(address, rowCount: settings.fillRowCount, ids: ids)
    }
    let warmUp = LoadLimit(duration: settings.warmUpDuration)
    _ = try load.run(warmUp, on: target)
    if let floor { _ = try load.run(warmUp, on: floor.target) }

    let parser = parserBaseline()
    var rounds = ThroughputRounds()
    for number in 0..<settings.roundCount {
      // Every other round the other way round, so that neither always comes second.
      if number.isMultiple(of: 2) { try measure(target, into: &rounds) }
      if let floor { try measure(floor, into: &rounds) }
      if let parser { rounds.parser.append(try parser.run(for: settings.roundDuration)) }
      if !number.isMultiple(of: 2) { try measure(target, into: &rounds) }
      progress.say("round \(number + 1) of \(settings.roundCount) done")
    }
    return ThroughputReport(settings, rounds)
  }

  private func measure(_ target: HTTPTarget, into rounds: inout ThroughputRounds) throws(BenchError)
  {
    rounds.ingot.append(try load.run(LoadLimit(duration: settings.roundDuration), on: target))
  }

  private func measure(
    _ floor: FloorServerUnderTest, into rounds: inout ThroughputRounds
  ) throws(BenchError) {
    let outcome = try load.run(LoadLimit(duration: settings.roundDuration), on: floor.target)
    guard outcome.failureCount == 0 else { throw BenchError("the bare server failed") }
    rounds.floor.append(outcome)
  }

  /// The parser reads columns documents; for ndjson those of the same rows.
  private func parserBaseline() -> ParserBaseline? {
    guard settings.comparesParser else { return nil }
    if settings.shape.format == .json {
      return ParserBaseline(load.copyBodies(), shape: settings.shape)
    }
    var shape = settings.shape
    shape.format = .json
    return ParserBaseline([BenchBody(shape, seed: 0)], shape: shape)
  }
}

/// What each round gave.
struct ThroughputRounds {
  var ingot: [LoadOutcome] = []
  var floor: [LoadOutcome] = []
  var parser: [ParserBaseline.Outcome] = []
}
