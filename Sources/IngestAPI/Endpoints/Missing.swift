// POST …/missing: a stream of ids in, those that are not durably stored out, in the same order.

internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore
internal import Synchronization
internal import SystemIO

extension IngestAPI {
  private static let missingTypes = ["text/plain", "application/x-ndjson"]

  func missing(_ call: Call) -> (any BodyReceiver)? {
    withReceiver(call) { [self] collection throws(RequestRefused) in
      guard let type = call.acceptedType(of: Self.missingTypes) else {
        throw RequestRefused(.notAcceptable(Self.missingTypes))
      }
      let stream: IDStream
      do throws(BodyError) {
        stream = try IDStream(contentType: call.head.fields.first("Content-Type"))
      } catch {
        throw RequestRefused(Problem(ofIDs: error))
      }
      let search = MissingSearch(
        collection, asText: type == "text/plain", spool: Spool(directory: service.layout.root),
        admission: service.admission, workers: workers, responder: call.responder)
      return MissingReceiver(stream, search: search, pool: pool)
    }
  }
}

extension Problem {
  /// What was wrong with a stream of ids.
  init(ofIDs error: BodyError) {
    if case .unsupportedMediaType(let found) = error {
      self = .unsupportedMediaType(
        "Content-Type is '\(found.prefix(80))'; ids are sent as "
          + IDStream.mediaTypes.joined(separator: ", "),
        accepts: IDStream.mediaTypes)
    } else {
      self.init(error)
    }
  }

  /// The disk could not take or give what was kept for an answer.
  init(ofSpool error: DiskError) {
    self = .noRoomForAnswer("\(error)")
    if !error.isOutOfSpace { (status, code) = (500, "storage-failed") }
  }

  static func noRoomForAnswer(_ reason: String) -> Problem {
    Problem(
      status: 507, code: "disk-full",
      detail: "the answer could not be kept until it is sent: \(reason); send fewer ids at once",
      isRetryable: true)
  }
}

/// Parses ids as they come; they are looked up by worker threads.
private final class MissingReceiver: BodyReceiver {
  private var stream: IDStream
  private let search: MissingSearch
  private let piece: PooledBody

  private static let pieceByteCount = 64 << 10
  /// Ids of one look-up: many, so that the shards are gone through in order.
  private static let lookupCount = 8192

  init(_ stream: IDStream, search: MissingSearch, pool: BodyPool) {
    piece = pool.body(byteCount: Self.pieceByteCount)
    self.stream = stream
    self.search = search
  }

  var isFull: Bool { search.isFull }

  func space(forAtMost byteCount: Int) -> UnsafeMutableRawBufferPointer {
    unsafe piece.mutableBytes
  }

  func didReceive(byteCount: Int) throws(Refusal) {
    do throws(BodyError) {
      try stream.append(unsafe UnsafeRawBufferPointer(rebasing: piece.bytes[..<byteCount]))
      if stream.count >= Self.lookupCount { search.add(try stream.take()) }
    } catch {
      throw Refusal(Problem(ofIDs: error).response)
    }
    if let problem = search.problem { throw Refusal(problem.response) }
  }

  func finish(_ responder: Responder) {
    do throws(BodyError) {
      try stream.finish()
      search.add(try stream.take())
      search.finish(responder)
    } catch {
      responder.send(Problem(ofIDs: error).response)
    }
  }
}

/// Looks ids up, some thousand at a time and one after the other, on worker threads: a look-up begins with a pass over all
/// ids of the shards that are not sealed. The answer is kept until the request has come whole, since most clients read
/// nothing before they have sent everything.
private final class MissingSearch: Sendable {
  private let collection: Collection
  private let asText: Bool
  private let admission: Admission
  private let workers: WorkerThreads
  private let responder: Responder
  private let queue = Mutex(Queue())
  private let found: Mutex<Found>

  /// Lists of ids that wait for a worker; with more, the body is not read on.
  private static let waitingCountMax = 4

  private struct Queue {
    var waiting: [IDList] = []
    var isWorking = false
    /// The body is not read until there is room.
    var isPaused = false
    var problem: Problem?
    /// There once the body has ended.
    var responder: Responder?
  }

  private struct Found {
    var lookup: IDLookup?
    var checkedCount = 0
    var missingCount = 0
    let spool: Spool
  }

  /// - Parameter responder: Of the request, for resuming its body.
  init(
    _ collection: Collection, asText: Bool, spool: sending Spool, admission: Admission,
    workers: WorkerThreads, responder: Responder
  ) {
    self.collection = collection
    self.asText = asText
    self.admission = admission
    self.workers = workers
    self.responder = responder
    found = Mutex(Found(spool: spool))
  }

  /// Whoever is told that it is will be resumed.
  var isFull: Bool {
    queue.withLock { queue in
      queue.isPaused = queue.waiting.count >= Self.waitingCountMax
      return queue.isPaused
    }
  }

  var problem: Problem? { queue.withLock { $0.problem } }

  func add(_ ids: IDList) {
    guard ids.count > 0 else { return }
    let begins = queue.withLock { queue in
      queue.waiting.append(ids)
      defer { queue.isWorking = true }
      return !queue.isWorking
    }
    if begins { workers.run { [self] in work() } }
  }

  /// Answers once all ids are looked up; the last of them were added before.
  func finish(_ responder: Responder) {
    let isDone = queue.withLock { queue in
      queue.responder = responder
      return !queue.isWorking
    }
    if isDone { answer() }
  }

  /// Looks one list up, then lets others have the thread.
  private func work() {
    let (ids, resumes) = queue.withLock { queue in
      defer { queue.isPaused = false }
      return (queue.waiting.removeFirst(), queue.isPaused)
    }
    do throws(RequestRefused) { try lookUp(ids) } catch {
      queue.withLock { queue in
        queue.problem = error.problem
        queue.waiting = []
      }
    }
    if resumes { responder.resumeBody() }
    let (goesOn, isDone) = queue.withLock { queue in
      queue.isWorking = !queue.waiting.isEmpty
      return (queue.isWorking, !queue.isWorking && queue.responder != nil)
    }
    if goesOn { workers.run { [self] in work() } }
    if isDone { answer() }
  }

  private func lookUp(_ ids: IDList) throws(RequestRefused) {
    try found.withLock { found throws(RequestRefused) in try lookUp(ids, &found) }
  }

  private func lookUp(_ ids: IDList, _ found: inout Found) throws(RequestRefused) {
    let lookup = found.lookup ?? IDLookup(collection)
    found.lookup = lookup
    var out: [UInt8] = []
    for (number, finding) in lookup.find(ids).enumerated() {
      guard let state = finding.stateWhenMissing else { continue }
      found.missingCount += 1
      if asText {
        out += ids[number]
      } else {
        out += #"{"id":"#.utf8
        JSON.append(utf8: ids[number], to: &out)
        out += #","state":"\#(state)"}"#.utf8
      }
      out.append(0x0A)
    }
    found.checkedCount += ids.count
    try keep(out, in: found.spool)
  }

  /// What is kept for a client does not take the room that is left for others.
  private func keep(_ out: [UInt8], in spool: Spool) throws(RequestRefused) {
    let needed = spool.fileByteCount(withMore: out.count)
    if needed > 0, admission.isReserveReached(admission.space, neededByteCount: needed) {
      throw RequestRefused(.noRoomForAnswer("the disk reserve is reached"))
    }
    do throws(DiskError) { try spool.append(out) } catch {
      throw RequestRefused(Problem(ofSpool: error))
    }
  }

  private func answer() {
    let (responder, problem) = queue.withLock { queue in
      defer { queue.responder = nil }
      return (queue.responder, queue.problem)
    }
    guard let responder else { return }
    if let problem { return responder.send(problem.response) }
    let response = found.withLock { found in
      Response(
        status: 200,
        fields: HTTPFields([
          ("Content-Type", asText ? "text/plain; charset=utf-8" : "application/x-ndjson"),
          ("X-Ingot-Checked-Count", "\(found.checkedCount)"),
          ("X-Ingot-Missing-Count", "\(found.missingCount)"),
        ]),
        body: .producer(SpoolProducer(found.spool)))
    }
    responder.send(response)
  }
}

extension Collection.Finding {
  /// Why an id counts as missing; nil when its row is served.
  var stateWhenMissing: String? {
    switch self {
    case .row: nil
    case .damaged: "quarantined"
    case .deleted: "deleted"
    case .lost, .unknown: "missing"
    }
  }
}

/// Sends what a spool holds.
final class SpoolProducer: BodyProducer {
  let byteCount: Int?
  private let spool: Spool
  private let sentByteCount = Mutex(0)
  private static let pieceByteCount = 64 << 10

  init(_ spool: Spool) {
    self.spool = spool
    byteCount = spool.byteCount
  }

  func next(into output: inout [UInt8]) throws -> Bool {
    let piece = try sentByteCount.withLock { sent in
      let piece = try spool.read(at: sent, byteCountMax: Self.pieceByteCount)
      sent += piece.count
      return piece
    }
    output += piece
    return sentByteCount.withLock { $0 } < spool.byteCount
  }
}
