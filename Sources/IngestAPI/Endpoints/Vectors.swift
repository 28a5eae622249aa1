// GET …/embeddings/{id}: the newest vector of an id, as JSON or as a NumPy file. Of many ids: Fetch.swift.

internal import Foundation
internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore

/// One vector, checked and copied out of its shard.
struct Vector {
  let bytes: [UInt8]
  let dtype: Dtype
  let shard: Int
  let row: Int

  /// - Throws: Problem 500 when the row is damaged.
  init(row: Int, of shard: Shard, dtype: Dtype) throws(RequestRefused) {
    do throws(RowDamaged) {
      bytes = try unsafe shard.withRows(row..<(row + 1)) { unsafe [UInt8]($0) }
    } catch {
      throw RequestRefused(Problem(error))
    }
    (self.dtype, self.shard, self.row) = (dtype, shard.identity.number, row)
  }

  /// As text, a number with the comma behind it has at most so many bytes, such as -1.1754944e-38.
  static let numberByteCountMax = 16

  /// Shortest numbers that read back as the same bits.
  func append(to out: inout [UInt8]) {
    out.append(UInt8(ascii: "["))
    for index in 0..<(bytes.count / dtype.byteCount) {
      if index > 0 { out.append(UInt8(ascii: ",")) }
      out += "\(number(index))".utf8
    }
    out.append(UInt8(ascii: "]"))
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
      var numbers: [UInt8] = []
      vector.append(to: &numbers)
      let json = JSON.object([
        ("id", .string(id)), ("embedding", .text(numbers)), ("shard", .integer(vector.shard)),
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
    guard let (shard, row) = try Self.place(of: id, in: collection) else { return nil }
    return try Vector(row: row, of: shard, dtype: collection.dtype)
  }

  /// Where the row of an id is; nil when nothing is stored of it.
  static func place(
    of id: [UInt8], in collection: Collection
  ) throws(RequestRefused) -> (shard: Shard, row: Int)? {
    switch collection.find(id) {
    case .unknown, .deleted: return nil
    case .damaged(let shard, let reason), .lost(let shard, let reason):
      throw RequestRefused(Problem(RowDamaged(shard: shard, rows: 0..<0, reason: reason)))
    case .row(let shard, let row): return (shard, row)
    }
  }
}
