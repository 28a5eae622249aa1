// GET /integrity: what was verified when, what is damaged, which ids that are. Scrubs: Scrubs.swift.

internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore
internal import SystemIO

extension IngestAPI {
  func integrity(_ call: Call) -> (any BodyReceiver)? {
    let wanted = call.head.query.first("fail_on")
    guard [nil, "corrupt"].contains(wanted) else {
      return call.answer(
        .badParameter("fail_on is '\(wanted?.prefix(20) ?? "")', expected corrupt"))
    }
    // Ids are read from logs, which an event loop does not wait for.
    workers.run { [self] in call.responder.send(integrity(failsWhenDamaged: wanted != nil)) }
    return nil
  }

  private func integrity(failsWhenDamaged: Bool) -> Response {
    let shards = service.shardIntegrity
    let unusable = service.collections.flatMap { collection in
      collection.unusableShards.sorted { $0.key < $1.key }.map { (collection, $0.key, $0.value) }
    }
    let problems = service.fileProblems
    let isClean =
      unusable.isEmpty && problems.isEmpty && service.catalogState == "pass"
      && shards.allSatisfy { $0.summary.damage.isEmpty && $0.findings.isEmpty }
    let damagedRowCount = service.collections.reduce(0) { $0 + $1.damagedRowCount }
    let status = !isClean && failsWhenDamaged ? 500 : 200
    return .json(
      .object([
        ("status", .string(isClean ? "clean" : "damaged")),
        ("rows", .integer(shards.reduce(0) { $0 + $1.summary.rowCount })),
        ("damaged_rows", .integer(damagedRowCount)),
        ("shard_count", .integer(shards.count + unusable.count)),
        ("oldest_verified_age_seconds", .optional(service.oldestVerifiedAgeSeconds)),
        ("catalog", .string(service.catalogState)),
        ("problems", .array(problems.map { .string($0) })),
        (
          "shards",
          .array(
            shards.map(Self.json)
              + unusable.map { Self.unusable($0, number: $1, reason: $2) })
        ),
      ]), status: status)
  }

  private static func json(_ shard: ShardIntegrity) -> JSON {
    let summary = shard.summary
    let isGrowing = shard.collection.growingShard == summary.number
    let state = summary.isSealed ? "sealed" : isGrowing ? "open" : "closed"
    return .object([
      ("collection", .string(shard.collection.name)),
      ("shard", .integer(summary.number)),
      ("state", .string(state)),
      ("rows", .integer(summary.rowCount)),
      ("header_rows", .optional(shard.headerRowCount)),
      ("crc32c", .optional(summary.fileCRC32C?.hexadecimal)),
      ("first_sequence", .integer(summary.firstSequence)),
      ("last_sequence", .integer(summary.lastSequence)),
      ("last_verified", .optional(shard.verifiedAt.map { WallClock.text(nanoseconds: $0) })),
      ("damaged", .array(summary.damage.map { json($0, in: shard) })),
      ("findings", .array(shard.findings.map { .string($0.reason) })),
    ])
  }

  /// More ids of one range are only counted.
  private static let listedIDCountMax = 1000

  private static func json(_ damage: Damage, in shard: ShardIntegrity) -> JSON {
    let ids = shard.collection.ids(
      ofRows: damage.rows, inShard: shard.summary.number, countMax: listedIDCountMax)
    return .object([
      ("first_row", .integer(damage.rows.lowerBound)), ("rows", .integer(damage.rows.count)),
      ("reason", .string(damage.reason)), ("ids", .array(ids.map { .string($0) })),
    ])
  }

  private static func unusable(_ collection: Collection, number: Int, reason: String) -> JSON {
    let known = collection.lostIDs[number]?.count ?? 0
    return .object([
      ("collection", .string(collection.name)), ("shard", .integer(number)),
      ("state", .string("lost")), ("rows", .integer(0)), ("header_rows", .null),
      ("crc32c", .null), ("reason", .string(reason)), ("ids_in_catalog", .integer(known)),
    ])
  }
}
