// Stores rows as fast as possible, for what is measured on a full store.

extension LoadGenerator {
  /// Sends so many batches, each of which must be acknowledged.
  func send(batchCount: Int, to target: any BatchTarget) throws(BenchError) -> LoadOutcome {
    let outcome = try run(LoadLimit(batchCountMax: batchCount), on: target)
    guard outcome.batchCount == batchCount else {
      let reasons = outcome.failureCounts.keys.sorted().joined(separator: ", ")
      throw BenchError(
        "\(outcome.batchCount) of \(batchCount) batches were acknowledged; \(reasons)")
    }
    return outcome
  }
}

extension BenchSettings {
  /// Stores `rowCount` rows or a few more, in large batches.
  func fill(_ address: ServerAddress, rowCount: Int, ids: BatchIDs) throws(BenchError) {
    let shape = shape.filling(batchByteCount: Self.fillBatchByteCount)
    let filler = LoadGenerator(shape, connectionCount: connectionCount, ids: ids)
    _ = try filler.send(
      batchCount: (rowCount + shape.rowCount - 1) / shape.rowCount,
      to: target(address, format: shape.format))
  }
}
