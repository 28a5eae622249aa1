// GET …/embeddings/{id} and POST …/fetch: the newest vectors of ids, as JSON or as NumPy files.

internal import Foundation
internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore

/// One vector, checked and copied out of its shard.
private struct Vector {
  let bytes: [UInt8]
  let dtype: Dtype
  let shard: Int
  let row: Int

  /// Shortest numbers that read back as the same bits.
  var json: JSON {
    var out: [UInt8] = [UInt8(ascii: "[")]
    for index in 0..<(bytes.count / dtype.byteCount) {
      if index > 0 { out.append(UInt8(ascii: ",")) }
      out += "\(number(index))".utf8
    }
    out.append(UInt8(ascii: "]"))
    return .text(out)
  }

  private func number(_ index: Int) -> Float {
    let start = index * dtype.byteCount
    switch dtype {
    case .float32:
      let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[start + $1]) << (8 * UInt32($1)) }
      return Float(bitPattern: bits)
    case .float16:
      let bits = UInt16(bytes[start]) | UInt16(bytes[start + 1]) << 8
      return Float(Float16(bitPattern: bits))
    }
  }
}

extension IngestAPI {
  private static let vectorTypes = ["application/json", "application/x-npy"]

  func getEmbedding(_ call: Call) -> (any BodyReceiver)? {
    withCollection(call) { collection throws(RequestRefused) in
      guard let type = call.acceptedType(of: Self.vectorTypes) else {
        throw RequestRefused(.notAcceptable(Self.vectorTypes))
      }
      let id = call.parameter("id")
      guard let vector = try vector(of: Array(id.utf8), in: collection) else {
        throw RequestRefused(
          Problem(
            status: 404, code: "id-unknown",
            detail: "collection \(collection.name) has no embedding of id '\(id.prefix(80))'"))
      }
      if type == "application/x-npy" {
        let body = NumPyFile.vector(vector.bytes, dtype: vector.dtype)
        return Self.withDigest(
          Response(
            status: 200, fields: HTTPFields([("Content-Type", type)]), body: .bytes(body)), body)
      }
      let json = JSON.object([
        ("id", .string(id)), ("embedding", vector.json), ("shard", .integer(vector.shard)),
        ("row", .integer(vector.row)),
      ])
      let response = Response.json(json)
      guard case .bytes(let body) = response.body else { return response }
      return Self.withDigest(response, body)
    }
  }

  /// Source: RFC 9530 section 2.
  private static func withDigest(_ response: Response, _ body: [UInt8]) -> Response {
    var response = response
    let digest = Data(SHA256.of(body)).base64EncodedString()
    response.fields.set("Content-Digest", "sha-256=:\(digest):")
    return response
  }

  private func vector(
    of id: [UInt8], in collection: Collection
  ) throws(RequestRefused) -> Vector? {
    switch collection.find(id) {
    case .unknown, .deleted: return nil
    case .damaged(let shard, let reason), .lost(let shard, let reason):
      throw RequestRefused(Problem(RowDamaged(shard: shard, rows: 0..<0, reason: reason)))
    case .row(let shard, let row):
      do throws(RowDamaged) {
        let bytes = try unsafe shard.withRows(row..<(row + 1)) { unsafe [UInt8]($0) }
        return Vector(
          bytes: bytes, dtype: collection.dtype, shard: shard.identity.number, row: row)
      } catch {
        throw RequestRefused(Problem(error))
      }
    }
  }

  // MARK: - Many ids

  private static let fetchTypes = ["application/x-npz", "application/json"]
  /// Ids of one request, as JSON text.
  static let fetchByteCountMax = 16 << 20

  func fetch(_ call: Call) -> (any BodyReceiver)? {
    let name = call.parameter("collection")
    guard Collection.isValidName(name) else {
      return call.answer(Problem(IngestError.collectionNameInvalid(name)))
    }
    guard let collection = service.collection(name) else {
      return call.answer(.collectionUnknown(name))
    }
    do throws(RequestRefused) {
      guard let type = call.acceptedType(of: Self.fetchTypes) else {
        throw RequestRefused(.notAcceptable(Self.fetchTypes))
      }
      try Self.requireJSON(call)
      return try receiver(for: call, byteCountMax: Self.fetchByteCountMax, passesReserve: true) {
        [self] received, responder in
        workers.run { [self] in
          responder.send(fetched(from: received, in: collection, type: type))
        }
      }
    } catch {
      return call.answer(error.problem)
    }
  }

  private func fetched(
    from received: CollectedBody.Received, in collection: Collection, type: String
  ) -> Response {
    do throws(RequestRefused) {
      let ids = try Self.wantedIDs(unsafe Data(received.body.bytes))
      let byteCount = ids.count * collection.dimension * collection.dtype.byteCount
      guard byteCount <= configuration.bodyByteCountMax else {
        throw RequestRefused(
          .bodyTooLarge(found: byteCount, max: configuration.bodyByteCountMax))
      }
      guard received.permit.grow(by: byteCount) else {
        throw RequestRefused(Problem(.inFlightLimit(byteCountMax: received.permit.limit)))
      }
      var found: [(id: String, vector: Vector)] = []
      var missing: [String] = []
      for id in ids {
        if let vector = try vector(of: Array(id.utf8), in: collection) {
          found.append((id, vector))
        } else {
          missing.append(id)
        }
      }
      return Self.answer(found, missing: missing, collection: collection, type: type)
    } catch {
      return error.problem.response
    }
  }

  private static func answer(
    _ found: [(id: String, vector: Vector)], missing: [String], collection: Collection,
    type: String
  ) -> Response {
    let fields = [(name: "X-Ingot-Missing-Count", value: String(missing.count))]
    if type == "application/json" {
      return .json(
        .object([
          ("ids", .array(found.map { .string($0.id) })),
          ("embeddings", .array(found.map(\.vector.json))),
          ("missing", .array(missing.map { .string($0) })),
        ]), fields: fields)
    }
    var archive = StoredZip()
    archive.add("ids.npy", NumPyFile.strings(found.map(\.id)))
    archive.add(
      "embeddings.npy",
      NumPyFile.rows(
        found.map(\.vector.bytes), dimension: collection.dimension, dtype: collection.dtype))
    archive.add("missing.npy", NumPyFile.strings(missing))
    var all = HTTPFields(fields)
    all.set("Content-Type", type)
    return Response(status: 200, fields: all, body: .bytes(archive.finish()))
  }

  private struct WantedIDs: Decodable {
    let ids: [WantedID]
  }

  private enum WantedID: Decodable {
    case text(String)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let integer = try? container.decode(Int64.self) {
        self = .text(String(integer))
      } else if let integer = try? container.decode(UInt64.self) {
        self = .text(String(integer))
      } else {
        self = .text(try container.decode(String.self))
      }
    }
  }

  private static func wantedIDs(_ data: Data) throws(RequestRefused) -> [String] {
    let form = #"expected {"ids":["a","b",1000]}"#
    guard (try? JSONSerialization.jsonObject(with: data, options: [.fragmentsAllowed])) != nil
    else {
      throw RequestRefused(
        Problem(status: 400, code: "bad-json", detail: "the body is not JSON; \(form)"))
    }
    guard let wanted = try? JSONDecoder().decode(WantedIDs.self, from: data), !wanted.ids.isEmpty
    else {
      throw RequestRefused(
        Problem(
          status: 400, code: "bad-json-shape",
          detail:
            "ids is missing, empty, or holds something else than strings and integers; \(form)"
        ))
    }
    var ids: [String] = []
    for (index, wantedID) in wanted.ids.enumerated() {
      guard case .text(let id) = wantedID else { continue }
      guard (1...IDList.idByteCountMax).contains(id.utf8.count) else {
        let code = id.isEmpty ? "empty-id" : "id-too-long"
        throw RequestRefused(
          Problem(
            status: 422, code: code,
            detail: "id \(index) has \(id.utf8.count) bytes, expected 1 to \(IDList.idByteCountMax)"
          ))
      }
      ids.append(id)
    }
    return ids
  }
}
