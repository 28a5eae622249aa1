// GET /metrics, in Prometheus' text format.

internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore
internal import Synchronization
internal import SystemIO

extension IngestAPI {
  func metricsText(_ call: Call) -> (any BodyReceiver)? {
    var page = MetricsPage()
    addService(to: &page)
    addRequests(to: &page)
    addCollections(to: &page)
    return call.answer(
      Response(
        status: 200,
        fields: HTTPFields([("Content-Type", "text/plain; version=0.0.4; charset=utf-8")]),
        body: .bytes(Array(page.text.utf8))))
  }

  private func addService(to page: inout MetricsPage) {
    let metrics = service.metrics
    page.add(
      "ingot_append_rows_total", .counter, "Rows committed since the start.",
      metrics.appendedRowCount.load(ordering: .relaxed))
    page.add(
      "ingot_append_batches_total", .counter, "Batches committed since the start.",
      metrics.appendedBatchCount.load(ordering: .relaxed))
    page.add(
      "ingot_append_bytes_total", .counter, "Bytes of rows and ids committed since the start.",
      metrics.appendedByteCount.load(ordering: .relaxed))
    page.add(
      "ingot_storage_failures_total", .counter, "Writes and syncs that failed.",
      metrics.storageFailureCount.load(ordering: .relaxed))
    page.add(
      "ingot_commit_duration_seconds", "From a checked batch to its acknowledgement.",
      metrics.commitDuration.snapshot)
    page.add(
      "ingot_in_flight_bytes", .gauge, "Bytes of bodies that are received, decoded or committed.",
      service.admission.inFlightByteCount)
    page.add(
      "ingot_in_flight_bytes_max", .gauge, "What may be in flight.",
      service.configuration.inFlightByteCountMax)
    page.add(
      "ingot_disk_reserve_bytes", .gauge, "Free space below which nothing is written.",
      service.configuration.diskReserveByteCount)
    if let space = service.admission.space {
      page.add("ingot_disk_free_bytes", .gauge, "Free space.", space.freeByteCount)
      page.add("ingot_disk_total_bytes", .gauge, "Size of the disk.", space.totalByteCount)
    }
  }

  private func addRequests(to page: inout MetricsPage) {
    page.add(
      "ingot_requests_total", .counter, "Requests answered, by status.",
      requests.answers.map { (labels: [("status", "\($0.status)")], value: $0.count) })
    page.add(
      "ingot_request_duration_seconds", "From a parsed head to the end of the answer.",
      requests.duration.snapshot)
    guard let server = serverCounters else { return }
    page.add(
      "ingot_connections", .gauge, "Open connections.",
      server.connectionsOpen.load(ordering: .relaxed))
    page.add(
      "ingot_connections_accepted_total", .counter, "Connections accepted.",
      server.connectionsAcceptedTotal.load(ordering: .relaxed))
    page.add(
      "ingot_connections_refused_total", .counter,
      "Connections refused, since there were too many.",
      server.connectionsRefusedTotal.load(ordering: .relaxed))
    page.add(
      "ingot_received_bytes_total", .counter, "Bytes read from sockets.",
      server.receivedBytesTotal.load(ordering: .relaxed))
    page.add(
      "ingot_sent_bytes_total", .counter, "Bytes written to sockets.",
      server.sentBytesTotal.load(ordering: .relaxed))
  }

  private func addCollections(to page: inout MetricsPage) {
    let collections = service.collections
    page.add(
      "ingot_rows", .gauge, "Rows that are stored, by collection.",
      collections.map { (labels: [("collection", $0.name)], value: $0.rowCount) })
    page.add(
      "ingot_damaged_rows", .gauge, "Rows that were acknowledged and cannot be served.",
      collections.map { (labels: [("collection", $0.name)], value: $0.damagedRowCount) })
    page.add(
      "ingot_shards", .gauge, "Shards, by collection and state.",
      collections.flatMap { collection in
        let sealed = collection.shards.filter(\.summary.isSealed).count
        return [
          (
            labels: [("collection", collection.name), ("state", "sealed")], value: sealed
          ),
          (
            labels: [("collection", collection.name), ("state", "open")],
            value: collection.shards.count - sealed
          ),
        ]
      })
  }
}

/// Text in the exposition format. Source: prometheus.io/docs/instrumenting/exposition_formats.
struct MetricsPage {
  enum Kind: String { case counter, gauge, histogram }

  private(set) var text = ""

  mutating func add(_ name: String, _ kind: Kind, _ help: String, _ value: Int) {
    add(name, kind, help, [(labels: [], value: value)])
  }

  mutating func add(
    _ name: String, _ kind: Kind, _ help: String,
    _ values: [(labels: [(String, String)], value: Int)]
  ) {
    describe(name, kind, help)
    for (labels, value) in values {
      let shown = labels.map { "\($0.0)=\"\($0.1)\"" }.joined(separator: ",")
      text += shown.isEmpty ? "\(name) \(value)\n" : "\(name){\(shown)} \(value)\n"
    }
  }

  mutating func add(_ name: String, _ help: String, _ histogram: DurationHistogram.Snapshot) {
    describe(name, .histogram, help)
    for (bound, count) in histogram.buckets {
      text += "\(name)_bucket{le=\"\(bound)\"} \(count)\n"
    }
    text += "\(name)_bucket{le=\"+Inf\"} \(histogram.count)\n"
    text += "\(name)_sum \(histogram.sum)\n\(name)_count \(histogram.count)\n"
  }

  private mutating func describe(_ name: String, _ kind: Kind, _ help: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
  }
}
