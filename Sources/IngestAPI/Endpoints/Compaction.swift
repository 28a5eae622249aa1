// POST and GET …/compact: giving back the room of dead rows now, and how far that is.

internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import SystemIO

extension IngestAPI {
  private struct Wanted: RequestDocument {
    var deadPercent: Int?
    /// Bytes per second.
    var rate: Int?

    typealias Member = CodingKeys
    enum CodingKeys: String, CodingKey, CaseIterable {
      case deadPercent = "dead_percent"
      case rate
    }

    static let code = "bad-compaction"
    static let form =
      #"expected nothing or {"dead_percent":30,"rate":67108864}: a percentage from 0 to 100, and bytes per second"#
  }

  func compact(_ call: Call) -> (any BodyReceiver)? {
    withReceiver(call) { [self] collection throws(RequestRefused) in
      if call.head.hasBody { try Self.requireJSON(call) }
      return try receiver(
        for: call, byteCountMax: Self.configurationByteCountMax, passesReserve: true
      ) { [self] received, responder in
        responder.answer { () throws(RequestRefused) in
          try startCompaction(of: collection, received.body)
        }
      }
    }
  }

  private func startCompaction(
    of collection: Collection, _ body: PooledBody
  ) throws(RequestRefused) -> Response {
    let wanted = body.byteCount == 0 ? Wanted() : try Wanted(body)
    guard (0...100).contains(wanted.deadPercent ?? 0), wanted.rate ?? 1 > 0 else {
      throw RequestRefused(Problem(status: 422, code: Wanted.code, detail: Wanted.form))
    }
    let progress = service.compact(collection, deadPercent: wanted.deadPercent, rate: wanted.rate)
    return .json(progress.json, status: 202)
  }

  func getCompaction(_ call: Call) -> (any BodyReceiver)? {
    withCollection(call) { [service] in .json(service.compaction(of: $0).json) }
  }
}

extension CompactionProgress {
  var json: JSON {
    .object([
      ("state", .string(state)), ("replaced_shards", .integer(replacedShardCount)),
      ("written_shards", .integer(writtenShardCount)),
      ("removed_rows", .integer(removedRowCount)), ("failure", .optional(failure)),
      ("ended_at", .optional(endedAt.map { WallClock.text(nanoseconds: $0) })),
    ])
  }
}
