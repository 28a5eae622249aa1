// Batches in every format: what is decoded has as many bytes as it has ids for. Part of FuzzTarget.swift.

internal import IngestAPI
internal import ShardStore

enum BodyFuzzing {
  static func run(_ bytes: [UInt8], as format: BodyFormat) -> String? {
    var limits = BodyLimits()
    limits.decodedByteCountMax = 1 << 20
    let decoder = BodyDecoder(
      expectation: BodyExpectation(dimension: nil, dtype: nil, limits: limits),
      memory: HeapBodyMemorySource())
    do throws(BodyError) {
      let batch = try decoder.batch(
        from: HeapBodyMemory(bytes), format: format,
        externalIDs: format == .npy ? .from(first: 0) : nil)
      let rowByteCount = batch.dimension * batch.dtype.byteCount
      guard batch.rowCount > 0, batch.ids.count == batch.rowCount,
        unsafe batch.rows.count == batch.rowCount * rowByteCount
      else { return "\(batch.ids.count) ids, \(batch.rowCount) rows" }
    } catch {
      if "\(error)".isEmpty || !(400...499).contains(error.status) {
        return "\(error.status): \(error)"
      }
    }
    return nil
  }
}
