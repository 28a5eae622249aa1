// JSON and ndjson bodies: how much memory the rows need, and their order.

internal import CSimdjson
internal import ShardStore

extension BodyDecoder {
  func json(_ body: BodyBytes) throws(BodyError) -> (Embeddings, IDCollector) {
    try withRows(of: body) { rows throws(BodyError) in try rows.read(document: body) }
  }

  func ndjson(_ body: BodyBytes) throws(BodyError) -> (Embeddings, IDCollector) {
    try withRows(of: body) { rows throws(BodyError) in
      var start = 0
      var number = 0
      while start < body.count {
        number += 1
        let end = body.firstOffset(of: UInt8(ascii: "\n"), from: start) ?? body.count
        if let line = body.slice(at: start, byteCount: end - start), !line.isBlank {
          guard try rows.read(line: line, number: number) else { return false }
        }
        start = end + 1
      }
      return true
    }
  }

  /// Reads rows into memory that is large enough.
  ///
  /// A body of n commas holds at most n + 1 numbers written out, so that much is tried first.
  /// Base64 has fewer commas; three bytes for each four of the body are enough for that, on a
  /// second try.
  private func withRows(
    of body: BodyBytes, read: (borrowing JSONRows) throws(BodyError) -> Bool
  ) throws(BodyError) -> (Embeddings, IDCollector) {
    let numberByteCount = (expectation.dtype ?? .float32).byteCount
    let commaCount = unsafe csimdjson_count_byte(
      body.buffer.baseAddress, body.count, UInt8(ascii: ","))
    let written = (commaCount + 1) * numberByteCount
    for needed in [written, written + body.count / 4 * 3] {
      let byteCountMax = expectation.limits.decodedByteCountMax
      var budget = DecodeBudget(limits: expectation.limits, memory: memory)
      let rowMemory = try budget.take(min(needed, byteCountMax))
      let rows = try JSONRows(rows: rowMemory, expectation: expectation)
      if try read(rows) {
        var embeddings = try rows.embeddings()
        try embeddings.check(expectation)
        if let order = rows.order() {
          embeddings = try embeddings.reordered(order, budget: &budget)
        }
        return (embeddings, rows.ids())
      }
      if needed >= byteCountMax { break }
    }
    throw .tooLargeDecoded(needed: nil, max: expectation.limits.decodedByteCountMax)
  }
}

extension Embeddings {
  /// The same rows, each at the place that `places` has for it.
  fileprivate func reordered(
    _ places: [Int], budget: inout DecodeBudget
  ) throws(BodyError) -> Embeddings {
    let memory = try budget.take(rows.count)
    let rowByteCount = dimension * dtype.byteCount
    for (row, place) in places.enumerated() {
      guard let from = rows.slice(at: row * rowByteCount, byteCount: rowByteCount) else { continue }
      let to = unsafe memory.mutableBytes[(place * rowByteCount)...].prefix(rowByteCount)
      unsafe UnsafeMutableRawBufferPointer(rebasing: to).copyMemory(from: from.buffer)
    }
    return Embeddings(
      rowCount: rowCount, dimension: dimension, dtype: dtype, rows: BodyBytes(memory))
  }
}

extension BodyBytes {
  fileprivate var isBlank: Bool {
    unsafe buffer.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
  }
}
