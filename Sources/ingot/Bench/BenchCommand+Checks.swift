// Which options of `ingot bench` go together, and which values they may have.

internal import ArgumentParser

extension BenchCommand {
  private enum Limits {
    static let connectionCount = 1...1024
    static let rowCount = 1...(1 << 20)
    static let dimension = 1...65_536
    static let seconds = 0.1...86_400
    static let shardCount = 1...100_000
    static let fillRowCount = 0...1_000_000_000
    /// Bytes of rows in a batch; the bare server's file holds a few bodies of that as text.
    static let payloadByteCountMax = 64 << 20
  }

  /// - Throws: What to say instead; exit code 64.
  func checkedSettings() throws(ValidationError) -> BenchSettings {
    try Self.check("--connections", connections, in: Limits.connectionCount)
    try Self.check("--rows", rows, in: Limits.rowCount)
    try Self.check("--dimension", dimension, in: Limits.dimension)
    try Self.check("--seconds", seconds, in: Limits.seconds)
    try Self.check("--fill-rows", fillRows, in: Limits.fillRowCount)
    if let startup { try Self.check("--startup", startup, in: Limits.shardCount) }
    let shape = BenchShape(rowCount: rows, dimension: dimension, format: format)
    guard shape.payloadByteCount <= Limits.payloadByteCountMax else {
      throw ValidationError(
        "a batch has \(shape.payloadByteCount) bytes of rows; at most "
          + "\(Limits.payloadByteCountMax) are sent. Lower --rows or --dimension")
    }
    try checkCombinations()
    guard Self.isCollectionName(collection) else {
      throw ValidationError("--collection takes letters, digits, '.', '_' and '-'")
    }
    let shardFlags = startup == nil ? [] : ["--shard-bytes", shardBytes]
    return BenchSettings(
      shape: shape, connectionCount: connections, duration: .seconds(seconds), hasFloor: floor,
      collection: collection, sendsKeys: keys, url: try address(),
      serverFlags: shardFlags + serverFlag, fillRowCount: fillRows)
  }

  private func checkCombinations() throws(ValidationError) {
    if growth, startup != nil {
      throw ValidationError("--growth and --startup are measurements of their own; choose one")
    }
    let ownStore = growth ? "--growth" : startup != nil ? "--startup" : nil
    if let ownStore, url != nil || floor || fillRows > 0 || collection != "default" {
      throw ValidationError(
        "\(ownStore) makes its own stores; leave out --url, --floor, --fill-rows and --collection")
    }
    if url != nil, store != nil || !serverFlag.isEmpty {
      throw ValidationError("--store and --server-flag are for a server that is started, not --url")
    }
  }

  private func address() throws(ValidationError) -> ServerAddress? {
    guard let url else { return nil }
    guard let address = ServerAddress(url: url) else {
      throw ValidationError("--url takes http://HOST:PORT and nothing behind it, not '\(url)'")
    }
    return address
  }

  private static func check<Value>(
    _ option: String, _ value: Value, in range: ClosedRange<Value>
  ) throws(ValidationError) {
    guard range.contains(value) else {
      throw ValidationError(
        "\(option) takes \(range.lowerBound) to \(range.upperBound), not \(value)")
    }
  }

  /// What can stand in a request line as it is; the server says which names it takes.
  private static func isCollectionName(_ name: String) -> Bool {
    !name.isEmpty
      && name.utf8.allSatisfy { byte in
        let character = Character(Unicode.Scalar(byte))
        return character.isASCII
          && (character.isLetter || character.isNumber || "._-".contains(character))
      }
  }
}
