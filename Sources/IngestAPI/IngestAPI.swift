// The only place that knows both HTTP and embeddings. Routes: Route.swift. Each endpoint: Endpoints/.
// A batch: Endpoints/Ingest.swift, Requests/CollectedBody.swift, Bodies/BodyDecoder.swift, IngestService.

package import HTTPCore
package import HTTPServer
package import IngestService
internal import Synchronization
internal import SystemIO

/// What clients may send.
package struct APIConfiguration: Sendable {
  /// Bytes of a request body, as they come.
  package var bodyByteCountMax = 64 << 20
  /// What a batch may become when it is decoded.
  package var limits = BodyLimits()
  /// Program version, for the index page.
  package var version = ""

  package init() {}
}

package final class IngestAPI: RequestHandler {
  let service: IngestService
  let configuration: APIConfiguration
  let serverConfiguration: HTTPServerConfiguration
  let pool: BodyPool
  let workers: WorkerThreads
  let requests = RequestMetrics()
  let started = MonotonicTime.now
  private let server = Mutex<HTTPServerCounters?>(nil)
  private let draining = Atomic(false)

  /// Larger bodies are decoded by a worker thread, so that an event loop is not held up for long.
  static let inlineByteCountMax = 2 << 20

  package init(
    service: IngestService, configuration: APIConfiguration,
    serverConfiguration: HTTPServerConfiguration, workerCount: Int
  ) {
    self.service = service
    self.configuration = configuration
    self.serverConfiguration = serverConfiguration
    pool = BodyPool(idleByteCountMax: min(64 << 20, service.configuration.inFlightByteCountMax))
    workers = WorkerThreads(count: workerCount)
  }

  /// Lets `/metrics` show the server's counters.
  package func attach(_ counters: HTTPServerCounters) { server.withLock { $0 = counters } }

  var serverCounters: HTTPServerCounters? { server.withLock { $0 } }

  /// From here on batches are refused and readiness says so; what is in flight goes on.
  package func beginDraining() { draining.store(true, ordering: .relaxed) }

  var isDraining: Bool { draining.load(ordering: .relaxed) }

  /// Ends the worker threads; after the server was drained.
  package func close() { workers.close() }

  // MARK: - RequestHandler

  package func begin(_ head: RequestHead, _ responder: Responder) -> (any BodyReceiver)? {
    let segments = head.pathSegments.filter { !$0.isEmpty }
    var allowed: [String] = []
    let method = head.method == "HEAD" ? "GET" : head.method
    for route in Route.all {
      guard let parameters = route.match(segments) else { continue }
      if route.method == method {
        let call = Call(head: head, parameters: parameters, responder: responder)
        if let problem = route.refusal(of: head) { return call.answer(problem) }
        return route.handle(self, call)
      }
      allowed.append(route.method)
      if route.method == "GET" { allowed.append("HEAD") }
    }
    responder.send(Self.unrouted(head, allowed: allowed).response)
    return nil
  }

  private static func unrouted(_ head: RequestHead, allowed: [String]) -> Problem {
    guard !allowed.isEmpty else {
      return Problem(
        status: 404, code: "path-unknown",
        detail: "there is nothing at \(head.path.prefix(200)); GET / lists what there is")
    }
    return Problem(
      status: 405, code: "method-not-allowed",
      detail: "\(head.method.prefix(32)) is not one of \(allowed.joined(separator: ", "))",
      members: [("allow", .array(allowed.map { .string($0) }))],
      fields: [("Allow", allowed.joined(separator: ", "))])
  }

  package func didRespond(
    to head: RequestHead, status: Int, duration: Duration, responseByteCount: Int
  ) {
    requests.record(status: status, duration: duration)
  }

  package func refusal(_ error: HTTPError) -> Response { Problem(error).response }
}
