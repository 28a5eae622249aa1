// `ingot bench --startup N`: how long a server takes to be ready on a store with N sealed shards.

internal import ShardStore
internal import SystemIO

struct StartupMeasurement {
  private let settings: BenchSettings
  private let progress: BenchProgress
  private let shardCount: Int

  private static let roundCount = 7
  /// Bytes of rows in a batch; several make a shard.
  private static let batchByteCount = 256 << 10
  /// Batches between two looks at the shards.
  private static let stretchBatchCount = 4
  /// Stretches per shard after which shards are taken to be too large ever to fill.
  private static let stretchCountMaxPerShard = 10_000

  /// - Parameter shardCount: Sealed shards that the store is to have.
  init(_ settings: BenchSettings, shardCount: Int, progress: BenchProgress) {
    self.settings = settings
    self.shardCount = shardCount
    self.progress = progress
  }

  func run(_ session: BenchSession) throws(BenchError) -> StartupReport {
    let (full, empty) = (session.newPath("store"), session.newPath("store"))
    progress.say("filling \(shardCount) shards")
    try makeShards(session, store: full)
    try ServerUnderTest(session, store: empty, flags: settings.serverFlags).end()
    var report = StartupReport(sealedShardCount: sealedShardCount(full))
    for number in 0..<Self.roundCount {
      report.fullMilliseconds.append(try start(session, full))
      report.emptyMilliseconds.append(try start(session, empty))
      progress.say("round \(number + 1) of \(Self.roundCount) done")
    }
    return report
  }

  private func start(_ session: BenchSession, _ store: String) throws(BenchError) -> Double {
    let server = try ServerUnderTest(session, store: store, flags: settings.serverFlags)
    server.end()
    return server.startDuration.seconds * 1000
  }

  private func makeShards(_ session: BenchSession, store: String) throws(BenchError) {
    let server = try ServerUnderTest(session, store: store, flags: settings.serverFlags)
    var shape = settings.shape
    shape.format = .npz
    shape.rowCount = max(1, Self.batchByteCount / shape.rowByteCount)
    let load = LoadGenerator(shape, connectionCount: settings.connectionCount, ids: BatchIDs())
    let target = settings.target(server.address, format: shape.format)
    try target.createCollection(dimension: shape.dimension)
    var stretchCount = 0
    while sealedShardCount(store) < shardCount {
      _ = try load.send(batchCount: Self.stretchBatchCount, to: target)
      stretchCount += 1
      guard stretchCount < shardCount * Self.stretchCountMaxPerShard else {
        throw BenchError("\(shardCount) shards are not full yet; try a smaller --shard-bytes")
      }
    }
    server.end()
  }

  /// A shard has its index of ids once it is sealed.
  private func sealedShardCount(_ store: String) -> Int {
    let collection = StoreLayout(root: store).collection(settings.collection)
    let names = (try? RealDisk().names(inDirectory: collection.shards)) ?? []
    return names.compactMap { Int($0) }
      .count { (try? RealDisk().kind(of: collection.shard($0).index)) == .file }
  }
}

/// Milliseconds from the start of the process to its ready line.
struct StartupReport: BenchReport {
  let version = IngotVersion.current
  let sealedShardCount: Int
  var fullMilliseconds: [Double] = []
  var emptyMilliseconds: [Double] = []

  private enum CodingKeys: CodingKey {
    case version, sealedShardCount, fullMilliseconds, emptyMilliseconds
  }

  init(sealedShardCount: Int) { self.sealedShardCount = sealedShardCount }

  var isComplete: Bool { true }

  var text: String {
    var lines = BenchLines(title: "from the start of the process to its ready line, ms")
    lines.add("\(sealedShardCount) sealed shards", fullMilliseconds.spread(1))
    lines.add("empty store", emptyMilliseconds.spread(1))
    lines.add("difference", (fullMilliseconds.median - emptyMilliseconds.median).text(1))
    return lines.text
  }
}
