// What the load generator talks to: a server that acknowledges batches. Ingot: HTTPBatchConnection.swift.
// The bare server: FloorConnection.swift.

/// What came back for a batch.
enum BatchAnswer: Sendable, Equatable {
  case acknowledged
  /// Anything else, by the name that the report counts it under.
  case other(name: String, isRefusal: Bool)
  /// The connection broke, and what happened to the batch is not known.
  case broken(reason: String)
}

/// One connection, used by one thread.
protocol BatchConnection: Sendable {
  /// False when the next batch needs a new connection.
  var isUsable: Bool { get }
  /// Sends a batch and waits for its answer.
  mutating func exchange(_ body: BenchBody) -> BatchAnswer
}

/// A server that batches are sent to.
protocol BatchTarget: Sendable {
  func connect() throws(BenchError) -> any BatchConnection
}
