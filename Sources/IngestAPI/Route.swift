// The table of routes: what is served where. Compared with openapi.yaml by a test.

internal import HTTPCore
internal import HTTPServer
internal import IngestService

/// One method on one path.
package struct Route: Sendable {
  package let method: String
  /// As in openapi.yaml; a segment in braces stands for anything.
  package let path: String
  /// The names that there may be behind the `?`; where there is none, what stands there is ignored.
  package let query: [String]
  let handle: @Sendable (IngestAPI, Call) -> (any BodyReceiver)?

  /// Of `path`; split once and not for every request.
  private let segments: [Substring]

  init(
    method: String, path: String, query: [String] = [],
    handle: @escaping @Sendable (IngestAPI, Call) -> (any BodyReceiver)?
  ) {
    (self.method, self.path, self.query, self.handle) = (method, path, query, handle)
    segments = path.split(separator: "/")
  }

  /// The values of the segments in braces, by name; nil when the path is another.
  func match(_ found: [String]) -> [String: String]? {
    guard segments.count == found.count else { return nil }
    var values: [String: String] = [:]
    for (pattern, segment) in zip(segments, found) {
      if pattern.hasPrefix("{") {
        values[String(pattern.dropFirst().dropLast())] = segment
      } else if pattern != segment {
        return nil
      }
    }
    return values
  }

  /// Why a request is refused before anybody looks at what it asks for; nil when it is not.
  func refusal(of head: RequestHead) -> Problem? {
    if !query.isEmpty, let item = head.query.items.first(where: { !query.contains($0.name) }) {
      return .badParameter(
        "there is no parameter '\(item.name.prefix(40))', there are \(query.joined(separator: ", "))"
      )
    }
    guard ["POST", "PUT"].contains(method) else { return nil }
    let coding = head.fields.list("Content-Encoding").first {
      !HTTPFields.isSameName($0, "identity")
    }
    return coding.map { .unsupportedContentEncoding($0) }
  }

  package static let all: [Route] = [
    Route(method: "POST", path: "/embeddings", query: ["first_id"]) {
      $0.ingest($1, collection: IngestService.defaultCollection)
    },
    Route(method: "POST", path: "/v1/collections/{collection}/embeddings", query: ["first_id"]) {
      $0.ingest($1)
    },
    Route(
      method: "PUT", path: "/v1/collections/{collection}/batches/{batch_id}", query: ["first_id"]
    ) { $0.ingest($1) },
    Route(method: "GET", path: "/v1/collections/{collection}/batches/{batch_id}") {
      $0.getBatch($1)
    },
    Route(
      method: "GET", path: "/v1/collections/{collection}/batches",
      query: ["prefix", "order", "limit", "after"]
    ) { $0.listBatches($1) },
    Route(method: "GET", path: "/v1/collections/{collection}/embeddings/{id}") {
      $0.getEmbedding($1)
    },
    Route(method: "DELETE", path: "/v1/collections/{collection}/embeddings/{id}") {
      $0.deleteEmbedding($1)
    },
    Route(method: "POST", path: "/v1/collections/{collection}/delete") { $0.deleteMany($1) },
    Route(method: "POST", path: "/v1/collections/{collection}/compact") { $0.compact($1) },
    Route(method: "GET", path: "/v1/collections/{collection}/compact") { $0.getCompaction($1) },
    Route(method: "GET", path: "/v1/collections/{collection}/export", query: ["format"]) {
      $0.export($1)
    },
    Route(method: "POST", path: "/v1/collections/{collection}/fetch") { $0.fetch($1) },
    Route(method: "POST", path: "/v1/collections/{collection}/missing") { $0.missing($1) },
    Route(method: "GET", path: "/v1/collections/{collection}/ids") { $0.listIDs($1) },
    Route(method: "PUT", path: "/v1/collections/{collection}") { $0.putCollection($1) },
    Route(method: "GET", path: "/v1/collections/{collection}") { $0.getCollection($1) },
    Route(method: "GET", path: "/v1/collections") { $0.listCollections($1) },
    Route(method: "GET", path: "/files/{collection}/") { $0.listFiles($1) },
    Route(method: "GET", path: "/files/{collection}/{name}") { $0.getFile($1) },
    Route(method: "GET", path: "/health") { $0.health($1) },
    Route(method: "GET", path: "/livez") { $0.liveness($1) },
    Route(method: "GET", path: "/readyz") { $0.readiness($1) },
    Route(method: "GET", path: "/disk") { $0.disk($1) },
    Route(method: "GET", path: "/integrity", query: ["fail_on"]) { $0.integrity($1) },
    Route(method: "POST", path: "/v1/scrubs") { $0.startScrub($1) },
    Route(method: "GET", path: "/v1/scrubs") { $0.listScrubs($1) },
    Route(method: "GET", path: "/v1/scrubs/{number}") { $0.getScrub($1) },
    Route(method: "DELETE", path: "/v1/scrubs/{number}") { $0.stopScrub($1) },
    Route(method: "GET", path: "/v1/limits") { $0.limits($1) },
    Route(method: "GET", path: "/metrics") { $0.metricsText($1) },
    Route(method: "GET", path: "/openapi.yaml") { $0.openAPI($1) },
    Route(method: "GET", path: "/") { $0.index($1) },
  ]
}

/// A request on its way through a route.
struct Call {
  let head: RequestHead
  /// The path's segments in braces, by name.
  let parameters: [String: String]
  let responder: Responder

  func parameter(_ name: String) -> String { parameters[name] ?? "" }

  /// Answers without waiting for a body.
  func answer(_ response: Response) -> (any BodyReceiver)? {
    responder.send(response)
    return nil
  }

  func answer(_ problem: Problem) -> (any BodyReceiver)? { answer(problem.response) }

  /// The first of the types that the client accepts; the first of all when it does not say.
  ///
  /// - Parameter types: What can be answered, the preferred one first.
  /// - Returns: nil when none of them is accepted. Source: RFC 9110 section 12.5.1.
  func acceptedType(of types: [String]) -> String? {
    let ranges = head.fields.list("Accept").map(AcceptRange.init)
    guard !ranges.isEmpty else { return types.first }
    let weighed = types.map { type in
      (type, ranges.filter { $0.matches(type) }.max { $0.precision < $1.precision }?.weight ?? 0)
    }
    let best = weighed.map(\.1).max() ?? 0
    return best > 0 ? weighed.first { $0.1 == best }?.0 : nil
  }
}

/// One element of an `Accept` field.
private struct AcceptRange {
  let type: String
  let weight: Double

  init(_ text: String) {
    let parts = text.split(separator: ";").map { $0.trimmingBlanks }
    type = parts.first?.lowercased() ?? ""
    weight =
      parts.dropFirst().first { $0.lowercased().hasPrefix("q=") }
      .flatMap { Double($0.dropFirst(2)) } ?? 1
  }

  /// Of two ranges that match, the more precise one decides.
  var precision: Int { type == "*/*" ? 0 : type.hasSuffix("/*") ? 1 : 2 }

  func matches(_ other: String) -> Bool {
    switch precision {
    case 0: true
    case 1: other.hasPrefix(type.dropLast())
    default: other == type
    }
  }
}

extension Substring {
  fileprivate var trimmingBlanks: Substring {
    let isBlank = { (character: Character) in character == " " || character == "\t" }
    let start = drop(while: isBlank)
    guard let last = start.lastIndex(where: { !isBlank($0) }) else { return "" }
    return start[...last]
  }
}
