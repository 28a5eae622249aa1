// Receipts: the answer to a batch, GET …/batches/{batch_id}, GET …/batches.

internal import Foundation
internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore
internal import SystemIO

extension Receipt {
  var json: JSON {
    .object([
      ("collection", .string(collection)),
      ("batch_id", .string(batchID)),
      ("sequence", .integer(sequence)),
      ("rows", .integer(rows.count)),
      ("shard", .integer(shard)),
      ("first_row", .integer(rows.lowerBound)),
      ("digest", .string("xxh3-128:" + contentDigest.bytes.hexadecimal)),
      ("crc32c", .string(rowsCRC32C.hexadecimal)),
      (
        "content_digest",
        .optional(bodySHA256.map { "sha-256=:\(Data($0).base64EncodedString()):" })
      ),
      ("committed_at", .string(WallClock.text(nanoseconds: committedAt))),
      ("durable", .bool(true)),
    ])
  }
}

extension Commit {
  /// 201 for a batch that was stored now, 200 for one that had been.
  var response: Response {
    isReplay
      ? .json(receipt.json, status: 200, fields: [("Idempotency-Replayed", "true")])
      : .json(receipt.json, status: 201)
  }
}

extension Sequence<UInt8> {
  /// Two lower-case digits per byte.
  var hexadecimal: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}

extension IngestAPI {
  func getBatch(_ call: Call) -> (any BodyReceiver)? {
    withCollection(call) { collection throws(RequestRefused) in
      let id = call.parameter("batch_id")
      try Self.checkBatchID(id)
      do throws(IngestError) {
        if let receipt = try service.receipt(id, in: collection) { return .json(receipt.json) }
      } catch {
        throw RequestRefused(Problem(error))
      }
      throw RequestRefused(
        Problem(
          status: 404, code: "batch-unknown",
          detail: "no batch \(id) was committed to collection \(collection.name); send it"))
    }
  }

  static let batchesPerPageMax = 1000

  func listBatches(_ call: Call) -> (any BodyReceiver)? {
    withCollection(call) { collection throws(RequestRefused) in
      let query = call.head.query
      let prefix = query.first("prefix") ?? ""
      if !prefix.isEmpty { try Self.checkBatchID(prefix) }
      let order = query.first("order") ?? "asc"
      guard ["asc", "desc"].contains(order) else {
        throw RequestRefused(.badParameter("order is '\(order.prefix(20))', expected asc or desc"))
      }
      let limit = try Self.integer(query, "limit", in: 1...Self.batchesPerPageMax) ?? 100
      let after = try Self.integer(query, "after", in: 0...Int.max)
      do throws(IngestError) {
        let receipts = try service.receipts(
          in: collection, prefix: prefix, descending: order == "desc", after: after,
          limit: limit + 1)
        let page = receipts.prefix(limit)
        var next: String?
        if receipts.count > limit, let last = page.last {
          next =
            "/v1/collections/\(collection.name)/batches?prefix=\(PercentCoding.encode(prefix))"
            + "&order=\(order)&limit=\(limit)&after=\(last.sequence)"
        }
        return .json(
          .object([("batches", .array(page.map(\.json))), ("next", .optional(next))]))
      } catch {
        throw RequestRefused(Problem(error))
      }
    }
  }

  /// Runs `body` with the collection of the path, and answers what it returns or why it refuses.
  func withCollection(
    _ call: Call, _ body: (Collection) throws(RequestRefused) -> Response
  ) -> (any BodyReceiver)? {
    withReceiver(call) { collection throws(RequestRefused) in call.answer(try body(collection)) }
  }

  /// Finds the collection of the path; `body` gives who takes the request's body, or nil when it has answered
  /// or will.
  func withReceiver(
    _ call: Call, _ body: (Collection) throws(RequestRefused) -> (any BodyReceiver)?
  ) -> (any BodyReceiver)? {
    let name = call.parameter("collection")
    guard Collection.isValidName(name) else {
      return call.answer(Problem(IngestError.collectionNameInvalid(name)))
    }
    guard let collection = service.collection(name) else {
      return call.answer(.collectionUnknown(name))
    }
    do throws(RequestRefused) { return try body(collection) } catch {
      return call.answer(error.problem)
    }
  }

  /// A query parameter that has to be an integer of a range; nil when it is not there.
  static func integer(
    _ query: Query, _ name: String, in range: ClosedRange<Int>
  ) throws(RequestRefused) -> Int? {
    guard let text = query.first(name) else { return nil }
    guard let value = Int(text), range.contains(value) else {
      throw RequestRefused(
        .badParameter(
          "\(name) is '\(text.prefix(40))', expected an integer from \(range.lowerBound) to "
            + "\(range.upperBound)"))
    }
    return value
  }
}
