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
    withReceiver(call) { collection throws(RequestRefused) in
      guard let type = call.acceptedType(of: Self.missingTypes) else {
        throw RequestRefused(.notAcceptable(Self.missingTypes))
      }
      let stream: IDStream
      do throws(BodyError) {
        stream = try IDStream(contentType: call.head.fields.first("Content-Type"))
      } catch {
        throw RequestRefused(Problem(ofIDs: error))
      }
      return MissingReceiver(
        stream, lookup: IDLookup(collection), asText: type == "text/plain",
        spool: Spool(directory: service.layout.root), pool: pool)
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
    self.init(
      status: error.isOutOfSpace ? 507 : 500,
      code: error.isOutOfSpace ? "disk-full" : "storage-failed",
      detail: "the answer could not be kept until it is sent: \(error); send fewer ids at once",
      isRetryable: true)
  }
}

/// Looks ids up while they come. The answer is kept until the request has come whole, since most clients read
/// nothing before they have sent everything.
private final class MissingReceiver: BodyReceiver {
  private var stream: IDStream
  private let lookup: IDLookup
  private let asText: Bool
  private let spool: Spool
  private let piece: PooledBody
  private var checkedCount = 0
  private var missingCount = 0

  private static let pieceByteCount = 64 << 10
  /// Ids of one look-up: many, so that the shards are gone through in order, and few enough that the event loop
  /// is held up for some milliseconds only.
  private static let lookupCount = 8192

  init(_ stream: IDStream, lookup: IDLookup, asText: Bool, spool: Spool, pool: BodyPool) {
    piece = pool.body(byteCount: Self.pieceByteCount)
    self.stream = stream
    self.lookup = lookup
    self.asText = asText
    self.spool = spool
  }

  func space(forAtMost byteCount: Int) -> UnsafeMutableRawBufferPointer {
    unsafe piece.mutableBytes
  }

  func didReceive(byteCount: Int) throws(Refusal) {
    do throws(BodyError) {
      try stream.append(unsafe UnsafeRawBufferPointer(rebasing: piece.bytes[..<byteCount]))
    } catch {
      throw Refusal(Problem(ofIDs: error).response)
    }
    if stream.count >= Self.lookupCount { try lookUp() }
  }

  func finish(_ responder: Responder) {
    do throws(Refusal) {
      do throws(BodyError) { try stream.finish() } catch {
        throw Refusal(Problem(ofIDs: error).response)
      }
      try lookUp()
    } catch {
      responder.send(error.response)
      return
    }
    responder.send(
      Response(
        status: 200,
        fields: HTTPFields([
          ("Content-Type", asText ? "text/plain; charset=utf-8" : "application/x-ndjson"),
          ("X-Ingot-Checked-Count", "\(checkedCount)"),
          ("X-Ingot-Missing-Count", "\(missingCount)"),
        ]),
        body: .producer(SpoolProducer(spool))))
  }

  private func lookUp() throws(Refusal) {
    let ids: IDList
    do throws(BodyError) { ids = try stream.take() } catch {
      throw Refusal(Problem(ofIDs: error).response)
    }
    var out: [UInt8] = []
    for (number, finding) in lookup.find(ids).enumerated() {
      guard let state = finding.stateWhenMissing else { continue }
      missingCount += 1
      if asText {
        out += ids[number]
      } else {
        out += #"{"id":"#.utf8
        JSON.append(utf8: ids[number], to: &out)
        out += #","state":"\#(state)"}"#.utf8
      }
      out.append(0x0A)
    }
    checkedCount += ids.count
    do throws(DiskError) { try spool.append(out) } catch {
      throw Refusal(Problem(ofSpool: error).response)
    }
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
