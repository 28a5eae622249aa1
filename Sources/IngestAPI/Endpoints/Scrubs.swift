// POST /v1/scrubs, GET and DELETE /v1/scrubs/{number}, GET /v1/scrubs: reading everything now.

internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore
internal import SystemIO

extension IngestAPI {
  private struct Wanted: RequestDocument {
    enum Rate: Decodable {
      case bytesPerSecond(Int)
      case word(String)

      init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if let number = try? value.decode(Int.self) {
          self = .bytesPerSecond(number)
        } else {
          self = .word(try value.decode(String.self))
        }
      }
    }

    var rate: Rate?
    var collection: String?
    var shard: Int?

    typealias Member = CodingKeys
    enum CodingKeys: CodingKey, CaseIterable { case rate, collection, shard }

    static let code = "bad-scrub"
    static let form =
      #"expected {"rate":"max"} or {"rate":33554432}, with "collection" and "shard" where not all are meant"#
  }

  func startScrub(_ call: Call) -> (any BodyReceiver)? {
    do throws(RequestRefused) {
      if call.head.hasBody { try Self.requireJSON(call) }
      return try receiver(
        for: call, byteCountMax: Self.configurationByteCountMax, passesReserve: true
      ) { [self] received, responder in
        responder.answer { () throws(RequestRefused) in
          .json(json(try startScrub(received.body)), status: 202)
        }
      }
    } catch {
      return call.answer(error.problem)
    }
  }

  private func startScrub(_ body: PooledBody) throws(RequestRefused) -> ScrubProgress {
    let wanted = body.byteCount == 0 ? Wanted() : try Wanted(body)
    let rate: Int?
    switch wanted.rate {
    case nil: rate = service.configuration.scrubRate
    case .word("max"): rate = nil
    case .bytesPerSecond(let number) where number > 0: rate = number
    case .word, .bytesPerSecond:
      throw RequestRefused(
        Problem(
          status: 422, code: Wanted.code,
          detail: "rate is neither max nor a positive number of bytes per second; "
            + Wanted.form))
    }
    if let name = wanted.collection {
      guard let collection = service.collection(name) else {
        throw RequestRefused(.collectionUnknown(name))
      }
      if let shard = wanted.shard,
        !collection.shards.contains(where: { $0.identity.number == shard })
      {
        throw RequestRefused(
          Problem(
            status: 404, code: "shard-unknown",
            detail: "collection \(name) has no shard \(shard); GET /integrity lists them"))
      }
    } else if wanted.shard != nil {
      throw RequestRefused(
        Problem(
          status: 422, code: Wanted.code,
          detail: "a shard is named without its collection; \(Wanted.form)"))
    }
    let started = service.startScrub(
      collection: wanted.collection, shard: wanted.shard, rate: rate)
    guard let started else { throw RequestRefused(Problem(IngestError.draining)) }
    return started
  }

  func listScrubs(_ call: Call) -> (any BodyReceiver)? {
    call.answer(.json(.object([("scrubs", .array(service.scrubs.map(json)))])))
  }

  func getScrub(_ call: Call) -> (any BodyReceiver)? {
    answer(call) { [service] in service.scrub($0) }
  }

  func stopScrub(_ call: Call) -> (any BodyReceiver)? {
    answer(call) { [service] in service.stopScrub($0) }
  }

  private func answer(
    _ call: Call, _ find: (Int) -> ScrubProgress?
  ) -> (any BodyReceiver)? {
    let text = call.parameter("number")
    guard let number = Int(text), let progress = find(number) else {
      return call.answer(
        Problem(
          status: 404, code: "scrub-unknown",
          detail: "there is no scrub '\(text.prefix(20))'; GET /v1/scrubs lists them"))
    }
    return call.answer(.json(json(progress)))
  }
}

extension IngestAPI {
  private func json(_ scrub: ScrubProgress) -> JSON {
    let problems = service.problems(collection: scrub.collection, shard: scrub.shard)
    return .object([
      ("number", .integer(scrub.number)), ("state", .string(scrub.state)),
      ("waits_for", .optional(scrub.waitsFor)),
      ("collection", .optional(scrub.collection)), ("shard", .optional(scrub.shard)),
      ("rate", scrub.rate.map { .integer($0) } ?? .string("max")),
      ("checked_bytes", .integer(scrub.checkedByteCount)),
      ("total_bytes", .integer(scrub.totalByteCount)),
      ("percent", .number((scrub.percent * 10).rounded() / 10)),
      ("remaining_seconds", .optional(scrub.remainingSeconds)),
      ("damaged_rows", .integer(scrub.damagedRowCount)),
      ("damaged_shards", .integer(scrub.damagedShardCount)),
      ("problems", .array(problems.map { .string($0) })),
      ("started_at", .string(WallClock.text(nanoseconds: scrub.startedAt))),
      ("ended_at", .optional(scrub.endedAt.map { WallClock.text(nanoseconds: $0) })),
    ])
  }
}
