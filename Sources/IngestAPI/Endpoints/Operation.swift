// For those who run the server: health, disk, limits, index, the API description. Integrity: Integrity.swift.

internal import COpenAPI
internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore
internal import Synchronization
internal import SystemIO

// MARK: - Health

extension IngestAPI {
  /// Why batches are not taken now; nil when they are.
  private var reasonNotWritable: String? {
    isDraining ? "the server is draining" : reasonNotDurable
  }

  /// Why a batch could not be made durable now; nil when nothing is known to be in the way.
  private var reasonNotDurable: String? {
    service.watchHealth()
    let health = service.health.snapshot
    if let failure = health.failure { return failure }
    if health.secondsInWrite > Self.writeSecondsMax {
      return "a write has not ended for \(Int(health.secondsInWrite)) s"
    }
    if service.admission.isFull {
      return "the disk reserve is reached"
    }
    return nil
  }

  /// Of a write or sync: longer is degraded, and much longer is no durable write any more.
  private static let slowWriteSeconds = 2.0
  private static let writeSecondsMax = 30.0

  func health(_ call: Call) -> (any BodyReceiver)? {
    let reason = reasonNotWritable
    let health = service.health.snapshot
    let damagedRows = service.collections.reduce(0) { $0 + $1.damagedRowCount }
    let unusable = service.collections.reduce(0) { $0 + $1.unusableShards.count }
    let isOverdue = service.isScrubOverdue
    let isSlow = health.secondsInWrite > Self.slowWriteSeconds
    let catalogProblem = service.catalogProblem
    let isWarning =
      damagedRows > 0 || unusable > 0 || isOverdue || isSlow || catalogProblem != nil
      || service.hasFindings || !health.notes.isEmpty
    let status = reason != nil ? "fail" : isWarning ? "warn" : "pass"
    let checks = JSON.object([
      ("writable", Self.check(reason == nil, output: reason)),
      (
        "durable-write",
        .object([
          ("status", .string(health.failure != nil ? "fail" : isSlow ? "warn" : "pass")),
          (
            "output",
            .optional(isSlow ? "a write has been running for \(Int(health.secondsInWrite)) s" : nil)
          ),
          ("observedValue", .optional(health.secondsSinceDurableWrite)),
          ("observedUnit", .string("s since the last one")),
        ])
      ),
      (
        "rows",
        Self.check(
          damagedRows == 0 && unusable == 0,
          output: damagedRows == 0 && unusable == 0
            ? nil : "\(damagedRows) damaged rows, \(unusable) shards that cannot be opened")
      ),
      (
        "catalog",
        .object([
          ("status", .string(catalogProblem == nil ? "pass" : "warn")),
          ("output", .optional(catalogProblem)),
        ])
      ),
      (
        "scrub",
        .object([
          ("status", .string(isOverdue ? "warn" : "pass")),
          ("observedValue", .optional(service.oldestVerifiedAgeSeconds)),
          ("observedUnit", .string("s since the oldest verification of a shard")),
        ])
      ),
      (
        "start",
        .object([
          ("status", .string(health.notes.isEmpty ? "pass" : "warn")),
          ("output", .array(health.notes.map { .string($0) })),
        ])
      ),
    ])
    return call.answer(
      .json(
        .object([("status", .string(status)), ("checks", checks)]),
        status: reason == nil ? 200 : 503, type: "application/health+json"))
  }

  private static func check(_ isGood: Bool, output: String?) -> JSON {
    .object([
      ("status", .string(isGood ? "pass" : "fail")), ("output", .optional(output)),
    ])
  }

  func liveness(_ call: Call) -> (any BodyReceiver)? {
    call.answer(
      .json(.object([("status", .string("pass"))]), type: "application/health+json"))
  }

  func readiness(_ call: Call) -> (any BodyReceiver)? {
    let reason = reasonNotWritable
    return call.answer(
      .json(
        .object([
          ("status", .string(reason == nil ? "pass" : "fail")),
          ("output", .optional(reason)),
        ]), status: reason == nil ? 200 : 503, type: "application/health+json"))
  }
}

extension Collection {
  /// Rows that were acknowledged and cannot be served.
  var damagedRowCount: Int { shards.reduce(0) { $0 + $1.summary.damage.rowCount } }
}

// MARK: - Disk

extension IngestAPI {
  func disk(_ call: Call) -> (any BodyReceiver)? {
    guard let space = service.admission.space else {
      return call.answer(
        Problem(
          status: 500, code: "storage-failed", detail: "the disk cannot be asked for its space",
          isRetryable: true))
    }
    let reserve = service.configuration.diskReserveByteCount
    let rows = service.metrics.appendedRowCount.load(ordering: .relaxed)
    let bytes = service.metrics.appendedByteCount.load(ordering: .relaxed)
    let bytesPerRow = rows > 0 ? Double(bytes) / Double(rows) : nil
    let room = max(0, space.freeByteCount - reserve)
    let bytesPerSecond = Double(bytes) / max(1, started.duration(to: .now).seconds)
    return call.answer(
      .json(
        .object([
          ("total_bytes", .integer(space.totalByteCount)),
          ("free_bytes", .integer(space.freeByteCount)),
          ("free_inodes", .optional(space.freeInodeCount)),
          ("reserve_bytes", .integer(reserve)),
          ("resume_bytes", .integer(service.configuration.diskResumeByteCount)),
          ("accepting", .bool(reasonNotDurable == nil)),
          ("bytes_per_row", .optional(bytesPerRow)),
          ("rows_until_reserve", .optional(bytesPerRow.map { Int(Double(room) / $0) })),
          (
            "seconds_until_reserve",
            .optional(bytesPerSecond > 0 ? Double(room) / bytesPerSecond : nil)
          ),
        ])))
  }
}

// MARK: - What there is

extension IngestAPI {
  func limits(_ call: Call) -> (any BodyReceiver)? {
    let service = self.service.configuration
    let server = serverConfiguration
    let body = configuration.limits
    return call.answer(
      .json(
        .object([
          ("max_body_bytes", .integer(configuration.bodyByteCountMax)),
          ("max_decoded_bytes", .integer(body.decodedByteCountMax)),
          ("in_flight_bytes", .integer(service.inFlightByteCountMax)),
          ("shard_bytes", .integer(service.shardByteCount)),
          ("disk_reserve_bytes", .integer(service.diskReserveByteCount)),
          ("max_id_bytes", .integer(IDList.idByteCountMax)),
          ("max_rows_per_batch", .integer(body.rowCountMax)),
          ("max_dimension", .integer(body.dimensionMax)),
          ("max_json_depth", .integer(body.jsonDepthMax)),
          ("max_head_bytes", .integer(server.head.headByteCountMax)),
          ("max_target_bytes", .integer(server.head.targetByteCountMax)),
          ("max_header_fields", .integer(server.head.fieldCountMax)),
          ("max_connections", .integer(server.connectionCountMax)),
          ("head_seconds", .number(server.headDeadline.seconds)),
          ("body_idle_seconds", .number(server.bodyIdleDeadline.seconds)),
          ("keep_alive_seconds", .number(server.keepAliveDeadline.seconds)),
          ("drain_seconds", .number(server.drainDeadline.seconds)),
        ])))
  }

  func openAPI(_ call: Call) -> (any BodyReceiver)? {
    let bytes = unsafe [UInt8](
      UnsafeBufferPointer(
        start: openapi_document_start(), count: Int(openapi_document_byte_count)))
    return call.answer(
      Response(
        status: 200, fields: HTTPFields([("Content-Type", "application/yaml")]),
        body: .bytes(bytes)))
  }

  func index(_ call: Call) -> (any BodyReceiver)? {
    let links = Route.all.filter { $0.method == "GET" && !$0.path.contains("{") }
    return call.answer(
      .json(
        .object([
          ("name", .string("ingot")),
          ("version", .string(configuration.version)),
          (
            "links",
            .object(
              links.map {
                (
                  name: $0.path == "/" ? "self" : String($0.path.dropFirst()),
                  value: .string($0.path)
                )
              })
          ),
        ])))
  }
}
