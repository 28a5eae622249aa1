// From the bytes of one request to a checked batch: the way in to the decoders of this folder.

package import ShardStore

/// Decodes bodies for one collection.
///
/// A batch comes out whole and checked, or an error that says what to send instead. Rows that lie
/// in the body as the collection stores them are used there: the batch keeps the body's memory
/// alive.
package struct BodyDecoder: Sendable {
  package var expectation: BodyExpectation
  /// For members that must be inflated and for rows that arrive as text.
  package var memory: any BodyMemorySource

  package init(expectation: BodyExpectation, memory: any BodyMemorySource) {
    self.expectation = expectation
    self.memory = memory
  }

  /// - Parameters:
  ///   - body: The whole body; nobody changes it from here on.
  ///   - externalIDs: Ids that came beside the body; only `application/x-npy` has them.
  ///   - bodySHA256: What ``ContentDigest`` verified, for the batch to keep; 32 bytes.
  package func batch(
    from body: any BodyMemory, format: BodyFormat, externalIDs: ExternalIDs? = nil,
    bodySHA256: [UInt8]? = nil
  ) throws(BodyError) -> Batch {
    guard externalIDs == nil || format == .npy else { throw .unexpectedIDs }
    let bytes = BodyBytes(body)
    let (embeddings, ids) =
      switch format {
      case .npz: try npz(bytes)
      case .npy: try npy(bytes, externalIDs: externalIDs)
      case .multipart(let boundary): try multipart(bytes, boundary: boundary)
      case .json: try json(bytes)
      case .ndjson: try ndjson(bytes)
      }
    guard ids.count == embeddings.rowCount else {
      throw .idCountMismatch(idCount: ids.count, rowCount: embeddings.rowCount)
    }
    let list = try ids.finish()
    try checkFinite(embeddings, ids: list)
    return unsafe Batch(
      ids: list, dimension: embeddings.dimension, dtype: embeddings.dtype,
      rows: embeddings.rows.buffer, bodySHA256: bodySHA256, owner: embeddings.rows.owner)
  }

  private func checkFinite(_ embeddings: Embeddings, ids: IDList) throws(BodyError) {
    let rows = unsafe embeddings.rows.buffer
    if Finiteness.holds(for: rows, dtype: embeddings.dtype) { return }
    throw .nonFinite(
      Finiteness.offendingRows(
        in: rows, dimension: embeddings.dimension, dtype: embeddings.dtype, id: ids.string))
  }

  private func npz(_ body: BodyBytes) throws(BodyError) -> (Embeddings, IDCollector) {
    let archive = try ZipArchive(body, memberCountMax: expectation.limits.memberCountMax)
    var budget = DecodeBudget(limits: expectation.limits, memory: memory)
    let embeddingsFile = try archive.contents(of: "embeddings.npy", budget: &budget)
    let embeddings = try Embeddings(
      NumPyArray(name: "embeddings", file: embeddingsFile), expectation: expectation)
    let idsFile = try archive.contents(of: "ids.npy", budget: &budget)
    let ids = try NumPyArray(name: "ids", file: idsFile)
    return (embeddings, try IDCollector(ids, rowCount: embeddings.rowCount))
  }

  private func npy(
    _ body: BodyBytes, externalIDs: ExternalIDs?
  ) throws(BodyError) -> (Embeddings, IDCollector) {
    guard let externalIDs else { throw .missingIDs }
    let embeddings = try Embeddings(
      NumPyArray(name: "embeddings", file: body), expectation: expectation)
    return (embeddings, try externalIDs.collect(rowCount: embeddings.rowCount))
  }
}

/// How much may still be decoded for one body.
struct DecodeBudget {
  let byteCountMax: Int
  private(set) var remaining: Int
  let memory: any BodyMemorySource

  init(limits: BodyLimits, memory: any BodyMemorySource) {
    byteCountMax = limits.decodedByteCountMax
    remaining = limits.decodedByteCountMax
    self.memory = memory
  }

  /// Memory for `byteCount` more bytes, within what is left.
  mutating func take(_ byteCount: Int) throws(BodyError) -> any MutableBodyMemory {
    guard byteCount <= remaining else {
      throw .tooLargeDecoded(needed: byteCount, max: byteCountMax)
    }
    guard let taken = memory.memory(byteCount: byteCount) else {
      throw .inFlightFull(needed: byteCount)
    }
    remaining -= byteCount
    return taken
  }
}
