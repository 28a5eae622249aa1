// DELETE …/embeddings/{id} and POST …/delete: ids that are gone from here on, durably. Also while the disk is full.

internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore

extension IngestAPI {
  func deleteEmbedding(_ call: Call) -> (any BodyReceiver)? {
    guard !isDraining else { return call.answer(Problem(IngestError.draining)) }
    return withReceiver(call) { [self] collection throws(RequestRefused) in
      let id = call.parameter("id")
      var collector = IDCollector(expecting: 1)
      collector.append(Array(id.utf8)[...])
      delete(try Self.checked(collector), from: collection, call.responder) { deletion in
        guard deletion.deletedCount == 0 else { return deletion.response }
        return Problem(
          status: 404, code: "id-unknown",
          detail: "collection \(collection.name) has no embedding of id '\(id.prefix(80))'"
        ).response
      }
      return nil
    }
  }

  /// Ids of one deletion: its commit record stays below the limit of a batch's.
  static let deleteByteCountMax = 16 << 20

  func deleteMany(_ call: Call) -> (any BodyReceiver)? {
    guard !isDraining else { return call.answer(Problem(IngestError.draining)) }
    return withReceiver(call) { [self] collection throws(RequestRefused) in
      let stream: IDStream
      do throws(BodyError) {
        stream = try IDStream(contentType: call.head.fields.first("Content-Type"))
      } catch {
        throw RequestRefused(Problem(ofIDs: error))
      }
      return try receiver(for: call, byteCountMax: Self.deleteByteCountMax, passesReserve: true) {
        [self] received, responder in
        workers.run { [self] in
          do throws(RequestRefused) {
            let ids = try Self.ids(stream, received.body)
            delete(ids, from: collection, responder, answer: \.response)
          } catch {
            responder.send(error.problem.response)
          }
        }
      }
    }
  }

  private static func ids(_ stream: IDStream, _ body: PooledBody) throws(RequestRefused) -> IDList {
    var stream = stream
    do throws(BodyError) {
      try stream.append(unsafe body.bytes)
      try stream.finish()
      return try stream.takeEachOnce()
    } catch {
      throw RequestRefused(Problem(ofIDs: error))
    }
  }

  private static func checked(_ collector: consuming IDCollector) throws(RequestRefused) -> IDList {
    do throws(BodyError) { return try collector.finish() } catch {
      throw RequestRefused(Problem(error))
    }
  }

  private func delete(
    _ ids: IDList, from collection: Collection, _ responder: Responder,
    answer: @escaping @Sendable (Deletion) -> Response
  ) {
    service.delete(ids, from: collection) { outcome in
      switch outcome {
      case .success(let deletion): responder.send(answer(deletion))
      case .failure(let error): responder.send(Problem(error).response)
      }
    }
  }
}

extension Deletion {
  /// Ids that were not there are named as far as a person reads.
  private static var listedCountMax: Int { 100 }

  var response: Response {
    .json(
      .object([
        ("deleted", .integer(deletedCount)),
        ("unknown", .integer(unknown.count)),
        ("unknown_ids", .array(unknown.prefix(Self.listedCountMax).map { .string($0) })),
        ("sequence", .optional(receipt?.sequence)),
        ("durable", .bool(true)),
      ]))
  }
}
