// POST /embeddings, POST …/embeddings, PUT …/batches/{batch_id}: admission, body, decoding, append, receipt.

internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore

/// What a head says of a batch, checked before its body is read.
private struct IngestRequest: Sendable {
  let collection: String
  let batchID: String?
  let format: BodyFormat
  let externalIDs: ExternalIDs?
  let digest: ContentDigest?
}

extension IngestAPI {
  func ingest(_ call: Call, collection: String? = nil) -> (any BodyReceiver)? {
    guard !isDraining else { return call.answer(Problem(IngestError.draining)) }
    do throws(RequestRefused) {
      let request = try ingestRequest(call, collection: collection ?? call.parameter("collection"))
      return try receiver(for: call, byteCountMax: configuration.bodyByteCountMax) {
        [self] received, responder in
        decodeAndAppend(request, received, responder)
      }
    } catch {
      return call.answer(error.problem)
    }
  }

  private func ingestRequest(
    _ call: Call, collection: String
  ) throws(RequestRefused) -> IngestRequest {
    guard Collection.isValidName(collection) else {
      throw RequestRefused(Problem(IngestError.collectionNameInvalid(collection)))
    }
    guard service.collection(collection) != nil || collection == IngestService.defaultCollection
    else {
      throw RequestRefused(.collectionUnknown(collection))
    }
    let fields = call.head.fields
    let batchID = call.parameters["batch_id"] ?? fields.first("Idempotency-Key")
    if let batchID { try Self.checkBatchID(batchID) }
    do throws(BodyError) {
      let format = try BodyFormat(contentType: fields.first("Content-Type") ?? "")
      return IngestRequest(
        collection: collection, batchID: batchID, format: format,
        externalIDs: try Self.externalIDs(call),
        digest: try fields.first("Content-Digest").map { value throws(BodyError) in
          try ContentDigest(headerValue: value)
        })
    } catch {
      throw RequestRefused(Problem(error))
    }
  }

  private static func externalIDs(_ call: Call) throws(BodyError) -> ExternalIDs? {
    if let value = call.head.fields.first("X-Ingot-Ids") {
      return try ExternalIDs(headerValue: value)
    }
    return try call.head.query.first("first_id").map { value throws(BodyError) in
      try ExternalIDs(firstID: value)
    }
  }

  /// `[A-Za-z0-9._:~-]{1,200}`: safe in a URL and in every log.
  static func checkBatchID(_ id: String) throws(RequestRefused) {
    let isValid =
      (1...200).contains(id.utf8.count)
      && id.utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
          || (0x61...0x7A).contains(byte) || "._:~-".utf8.contains(byte)
      }
    guard isValid else {
      throw RequestRefused(
        .badParameter(
          "the batch id has \(id.utf8.count) bytes or other characters; expected 1 to 200 of "
            + "A-Z a-z 0-9 . _ : ~ -"))
    }
  }

  // MARK: - With the whole body

  private func decodeAndAppend(
    _ request: IngestRequest, _ received: CollectedBody.Received, _ responder: Responder
  ) {
    let isText = request.format == .json || request.format == .ndjson
    guard isText || received.body.byteCount > Self.inlineByteCountMax else {
      decodeAndAppendNow(request, received, responder)
      return
    }
    workers.run { [self] in decodeAndAppendNow(request, received, responder) }
  }

  private func decodeAndAppendNow(
    _ request: IngestRequest, _ received: CollectedBody.Received, _ responder: Responder
  ) {
    do throws(BodyError) {
      let batch = try decode(request, received)
      append(batch, request, permit: received.permit, responder)
    } catch {
      responder.send(Problem(error).response)
    }
  }

  private func decode(
    _ request: IngestRequest, _ received: CollectedBody.Received
  ) throws(BodyError) -> Batch {
    let bodySHA256 = try request.digest?.verify(received.body)
    let collection = service.collection(request.collection)
    let decoder = BodyDecoder(
      expectation: BodyExpectation(
        dimension: collection?.dimension, dtype: collection?.dtype, limits: configuration.limits),
      memory: PermittedMemory(pool: pool, permit: received.permit))
    return try decoder.batch(
      from: received.body, format: request.format, externalIDs: request.externalIDs,
      bodySHA256: bodySHA256)
  }

  private func append(
    _ batch: Batch, _ request: IngestRequest, permit: Admission.Permit, _ responder: Responder
  ) {
    if let collection = service.collection(request.collection) {
      append(batch, to: collection, request, permit: permit, responder)
      return
    }
    // A collection is created with syncs, which an event loop does not wait for.
    workers.run { [self] in
      do throws(IngestError) {
        let created = try service.createCollection(
          request.collection, dimension: batch.dimension, dtype: batch.dtype)
        append(batch, to: created.collection, request, permit: permit, responder)
      } catch {
        responder.send(Problem(error).response)
      }
    }
  }

  /// The permit is held until the batch is acknowledged or refused.
  private func append(
    _ batch: Batch, to collection: Collection, _ request: IngestRequest,
    permit: Admission.Permit, _ responder: Responder
  ) {
    service.append(batch, to: collection, batchID: request.batchID) { outcome in
      withExtendedLifetime(permit) {
        switch outcome {
        case .success(let commit): responder.send(commit.response)
        case .failure(let error): responder.send(Problem(error).response)
        }
      }
    }
  }
}

/// A request that is answered before its body is read.
struct RequestRefused: Error {
  let problem: Problem

  init(_ problem: Problem) { self.problem = problem }
}

extension Responder {
  /// Sends what `body` returns, or why it refuses.
  func answer(_ body: () throws(RequestRefused) -> Response) {
    do throws(RequestRefused) { send(try body()) } catch { send(error.problem.response) }
  }
}

/// Memory for decoding, counted by the permit of the body that is decoded.
private struct PermittedMemory: BodyMemorySource {
  let pool: BodyPool
  let permit: Admission.Permit

  func memory(byteCount: Int) -> (any MutableBodyMemory)? {
    permit.grow(by: byteCount) ? pool.body(byteCount: byteCount) : nil
  }
}

extension IngestAPI {
  /// Admits a body and prepares to receive it.
  ///
  /// - Parameter passesReserve: A full disk does not matter: nothing is stored, or room is given back.
  func receiver(
    for call: Call, byteCountMax: Int, passesReserve: Bool = false,
    complete: @escaping (CollectedBody.Received, Responder) -> Void
  ) throws(RequestRefused) -> any BodyReceiver {
    if let length = call.head.contentLength, length > byteCountMax {
      throw RequestRefused(.bodyTooLarge(found: length, max: byteCountMax))
    }
    let first =
      call.head.isChunked ? CollectedBody.firstByteCount : call.head.contentLength ?? 0
    do throws(IngestError) {
      return CollectedBody(
        pool: pool,
        permit: try service.admission.admit(byteCount: first, passesReserve: passesReserve),
        declaredByteCount: call.head.isChunked ? nil : call.head.contentLength ?? 0,
        byteCountMax: byteCountMax, complete: complete)
    } catch {
      throw RequestRefused(Problem(error))
    }
  }
}
