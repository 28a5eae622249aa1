// POST and GET …/compact: giving back the room of dead rows now, and how far that is.

internal import Foundation
internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import SystemIO

extension IngestAPI {
  private struct Wanted: Decodable {
    var deadPercent: Int?
    /// Bytes per second.
    var rate: Int?

    enum CodingKeys: String, CodingKey {
      case deadPercent = "dead_percent"
      case rate
    }
  }

  func compact(_ call: Call) -> (any BodyReceiver)? {
    withReceiver(call) { [self] collection throws(RequestRefused) in
      if call.head.contentLength ?? 0 > 0 || call.head.isChunked { try Self.requireJSON(call) }
      return try receiver(
        for: call, byteCountMax: Self.configurationByteCountMax, passesReserve: true
      ) { [self] received, responder in
        let data = unsafe Data(received.body.bytes)
        let wanted = data.isEmpty ? Wanted() : try? JSONDecoder().decode(Wanted.self, from: data)
        guard let wanted, (0...100).contains(wanted.deadPercent ?? 0), wanted.rate ?? 1 > 0 else {
          responder.send(
            Problem(
              status: 422, code: "bad-compaction",
              detail: #"expected nothing or {"dead_percent":30,"rate":67108864}: a percentage "#
                + "from 0 to 100, and bytes per second"
            ).response)
          return
        }
        let progress = service.compact(
          collection, deadPercent: wanted.deadPercent, rate: wanted.rate)
        responder.send(.json(progress.json, status: 202))
      }
    }
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
