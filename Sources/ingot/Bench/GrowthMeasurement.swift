// `ingot bench --growth`: whether a batch costs the same in a full store as in a nearly empty one.

internal import SystemIO

/// Two servers in turn: one store is filled once and stays, the other one is fresh in every round.
struct GrowthMeasurement {
  private let settings: BenchSettings
  private let progress: BenchProgress
  private let ids = BatchIDs()

  private static let smallRowCount = 10_000
  private static let largeRowCount = 2_000_000
  private static let roundCount = 31
  /// Rows of one stretch: few, so that the small store stays small while it is measured.
  private static let stretchRowCount = 50_000
  private static let stretchBatchCountMin = 32

  init(_ settings: BenchSettings, progress: BenchProgress) {
    self.settings = settings
    self.progress = progress
  }

  func run(_ session: BenchSession) throws(BenchError) -> GrowthReport {
    let load = LoadGenerator(
      settings.shape, connectionCount: settings.connectionCount, ids: ids)
    let large = try ServerUnderTest(
      session, store: session.newPath("store"), flags: settings.serverFlags)
    progress.say("storing \(Self.largeRowCount) rows")
    try settings.fill(large.address, rowCount: Self.largeRowCount, ids: ids)

    var rounds: [(small: Double, large: Double)] = []
    for number in 0..<Self.roundCount {
      let store = session.newPath("store")
      let small = try ServerUnderTest(session, store: store, flags: settings.serverFlags)
      try warmUp(load, small)
      try warmUp(load, large)
      // Every other round the other way round, so that neither always comes second.
      if number.isMultiple(of: 2) {
        let first = try measure(load, small)
        rounds.append((first, try measure(load, large)))
      } else {
        let first = try measure(load, large)
        rounds.append((try measure(load, small), first))
      }
      small.end()
      session.remove(store)
      progress.say("round \(number + 1) of \(Self.roundCount) done")
    }
    return GrowthReport(
      conditions: BenchConditions(settings), smallRowCount: Self.smallRowCount,
      largeRowCount: Self.largeRowCount, rounds: rounds)
  }

  /// Fills a fresh store to its ten thousand rows; the full one gets as many more.
  private func warmUp(_ load: LoadGenerator, _ server: ServerUnderTest) throws(BenchError) {
    let batchCount = (Self.smallRowCount + load.shape.rowCount - 1) / load.shape.rowCount
    _ = try load.send(
      batchCount: batchCount,
      to: settings.target(server.address, format: settings.shape.format))
  }

  /// Milliseconds per batch.
  private func measure(
    _ load: LoadGenerator, _ server: ServerUnderTest
  ) throws(BenchError) -> Double {
    let batchCount = max(Self.stretchBatchCountMin, Self.stretchRowCount / load.shape.rowCount)
    let outcome = try load.send(
      batchCount: batchCount,
      to: settings.target(server.address, format: settings.shape.format))
    return outcome.secondsPerBatch * 1000
  }
}

/// Milliseconds per batch in both stores.
struct GrowthReport: BenchReport {
  let conditions: BenchConditions
  let smallRowCount: Int
  let largeRowCount: Int
  let smallBatchMilliseconds: [Double]
  let largeBatchMilliseconds: [Double]
  let ratios: [Double]
  let medianRatio: Double

  init(
    conditions: BenchConditions, smallRowCount: Int, largeRowCount: Int,
    rounds: [(small: Double, large: Double)]
  ) {
    self.conditions = conditions
    self.smallRowCount = smallRowCount
    self.largeRowCount = largeRowCount
    smallBatchMilliseconds = rounds.map(\.small)
    largeBatchMilliseconds = rounds.map(\.large)
    ratios = rounds.map { $0.large / $0.small }
    medianRatio = ratios.median
  }

  var isComplete: Bool { true }

  var text: String {
    var lines = BenchLines(title: "\(conditions.text): time per batch, ms")
    lines.add("\(smallRowCount) rows stored", smallBatchMilliseconds.spread(3))
    lines.add("\(largeRowCount) rows stored", largeBatchMilliseconds.spread(3))
    lines.add("ratio", ratios.spread(3))
    return lines.text
  }
}
