// PUT and GET /v1/collections/{collection}, GET /v1/collections.

internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore

extension Collection.Summary {
  var json: JSON {
    .object([
      ("name", .string(name)),
      ("dimension", .integer(dimension)),
      ("dtype", .string(dtype.name)),
      ("rows", .integer(rowCount)),
      ("last_sequence", .integer(lastSequence)),
      // The same under the name that it had first.
      ("batches", .integer(lastSequence)),
      ("shards", .integer(shardCount)),
      ("bytes", .integer(rowCount * dimension * dtype.byteCount)),
    ])
  }
}

extension IngestAPI {
  func listCollections(_ call: Call) -> (any BodyReceiver)? {
    call.answer(
      .json(.object([("collections", .array(service.collections.map(\.summary.json)))])))
  }

  func getCollection(_ call: Call) -> (any BodyReceiver)? {
    withCollection(call) { .json($0.summary.json) }
  }

  /// A configuration is a few bytes; more is a mistake.
  static let configurationByteCountMax = 64 << 10

  func putCollection(_ call: Call) -> (any BodyReceiver)? {
    let name = call.parameter("collection")
    guard Collection.isValidName(name) else {
      return call.answer(Problem(IngestError.collectionNameInvalid(name)))
    }
    do throws(RequestRefused) {
      try Self.requireJSON(call)
      return try receiver(for: call, byteCountMax: Self.configurationByteCountMax) {
        [self] received, responder in
        // A collection is created with syncs, which an event loop does not wait for.
        workers.run { [self] in
          responder.answer { () throws(RequestRefused) in
            try createCollection(name, from: received.body)
          }
        }
      }
    } catch {
      return call.answer(error.problem)
    }
  }

  static func requireJSON(_ call: Call) throws(RequestRefused) {
    let type = call.head.fields.first("Content-Type") ?? ""
    let name = type.split(separator: ";").first.map { $0.lowercased() } ?? ""
    guard name.split(separator: " ").first == "application/json" else {
      throw RequestRefused(
        .unsupportedMediaType(
          "Content-Type is '\(type.prefix(80))', expected application/json",
          accepts: ["application/json"]))
    }
  }

  private struct Wanted: RequestDocument {
    let dimension: Int
    /// Without one float32.
    let dtype: String?

    typealias Member = CodingKeys
    enum CodingKeys: CodingKey, CaseIterable { case dimension, dtype }

    static let code = "bad-configuration"
    static let form = #"expected {"dimension":512,"dtype":"float32"}"#
  }

  private func createCollection(
    _ name: String, from body: PooledBody
  ) throws(RequestRefused) -> Response {
    let wanted = try Wanted(body)
    guard (1...configuration.limits.dimensionMax).contains(wanted.dimension),
      let dtype = Dtype.allCases.first(where: { $0.name == wanted.dtype ?? "float32" })
    else {
      throw RequestRefused(
        Problem(
          status: 422, code: Wanted.code,
          detail: "dimension is an integer from 1 to \(configuration.limits.dimensionMax), dtype "
            + "is float32 or float16; \(Wanted.form)"))
    }
    do throws(IngestError) {
      let (collection, isNew) = try service.createCollection(
        name, dimension: wanted.dimension, dtype: dtype)
      return .json(collection.summary.json, status: isNew ? 201 : 200)
    } catch {
      throw RequestRefused(Problem(error))
    }
  }
}
