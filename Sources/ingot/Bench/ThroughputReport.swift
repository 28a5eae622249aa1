// What `ingot bench` found, for people and as JSON. MB are 10^6 bytes of rows, whatever the format.

internal import SystemIO

/// The settings of a run, as far as its figures depend on them.
struct BenchConditions: Encodable, Sendable {
  let format: String
  let connections: Int
  let rows: Int
  let dimension: Int
  let version = IngotVersion.current

  init(_ settings: BenchSettings) {
    format = settings.shape.format.rawValue
    connections = settings.connectionCount
    rows = settings.shape.rowCount
    dimension = settings.shape.dimension
  }
}

struct ThroughputReport: Encodable, Sendable {
  let conditions: BenchConditions
  let seconds: Double
  let batches: Int
  let rowsPerSecond: Double
  let payloadMBPerSecond: Double
  let acknowledgementMilliseconds: LatencySummary?
  /// The time per batch of the whole server, in the first and the last tenth of the run.
  let batchMillisecondsFirstTenth: Double?
  let batchMillisecondsLastTenth: Double?
  let refusals: Int
  let failures: [String: Int]
  let floor: Comparison?
  let parser: Comparison?
  let parserBodyMBPerSecond: Double?
  var serverMemory: MemoryFigures?

  /// Ingot and something simpler, round by round.
  struct Comparison: Encodable, Sendable {
    let payloadMBPerSecond: [Double]
    let ingotPayloadMBPerSecond: [Double]
    let ratios: [Double]
    let medianRatio: Double

    init?(_ others: [Double], ingot: [Double]) {
      if others.isEmpty { return nil }
      payloadMBPerSecond = others
      ingotPayloadMBPerSecond = ingot
      ratios = zip(ingot, others).map { $0 / $1 }
      medianRatio = ratios.median
    }
  }

  init(_ settings: BenchSettings, _ rounds: ThroughputRounds) {
    let shape = settings.shape
    var total = LoadOutcome()
    for outcome in rounds.ingot { total.append(outcome) }
    let megabytes = { (outcome: LoadOutcome) in outcome.megabytesPerSecond(shape) }
    let ingot = rounds.ingot.map(megabytes)
    conditions = BenchConditions(settings)
    seconds = total.elapsed.seconds
    batches = total.batchCount
    rowsPerSecond = Double(total.batchCount * shape.rowCount) / max(seconds, .leastNonzeroMagnitude)
    payloadMBPerSecond = megabytes(total)
    acknowledgementMilliseconds = LatencySummary(total.acknowledgements.map(\.latency))
    batchMillisecondsFirstTenth = total.secondsPerBatch(from: 0, to: 0.1).map { $0 * 1000 }
    batchMillisecondsLastTenth = total.secondsPerBatch(from: 0.9, to: 1).map { $0 * 1000 }
    refusals = total.refusalCount
    failures = total.failureCounts
    floor = Comparison(rounds.floor.map(megabytes), ingot: ingot)
    parser = Comparison(rounds.parser.map { $0.payloadBytesPerSecond / 1e6 }, ingot: ingot)
    let bodyMegabytes = rounds.parser.map { $0.bodyBytesPerSecond / 1e6 }
    parserBodyMBPerSecond = bodyMegabytes.isEmpty ? nil : bodyMegabytes.median
  }
}

extension LoadOutcome {
  fileprivate func megabytesPerSecond(_ shape: BenchShape) -> Double {
    elapsed > .zero ? Double(batchCount * shape.payloadByteCount) / 1e6 / elapsed.seconds : 0
  }
}
