// GET …/ids: every id of a collection, streamed.

internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import Synchronization

extension IngestAPI {
  private static let idTypes = ["text/plain", "application/x-ndjson", "application/json"]

  func listIDs(_ call: Call) -> (any BodyReceiver)? {
    withReceiver(call) { [self] collection throws(RequestRefused) in
      guard let type = call.acceptedType(of: Self.idTypes) else {
        throw RequestRefused(.notAcceptable(Self.idTypes))
      }
      let form: IDProducer.Form =
        switch type {
        case "application/x-ndjson": .ndjson
        case "application/json": .json
        default: .lines
        }
      let shown = type == "text/plain" ? "text/plain; charset=utf-8" : type
      // The ids of shards that are not sealed are sorted first, which an event loop does not wait for.
      workers.run {
        call.responder.send(
          Response(
            status: 200, fields: HTTPFields([("Content-Type", shown)]),
            body: .producer(IDProducer(LiveIDs(collection), form: form))))
      }
      return nil
    }
  }
}

/// Writes ids in pieces, when the socket has room.
private final class IDProducer: BodyProducer {
  enum Form: Sendable { case lines, ndjson, json }

  let byteCount: Int? = nil
  private let form: Form
  private let state: Mutex<State>
  private static let pieceByteCount = 64 << 10

  private struct State {
    var ids: LiveIDs
    var isFirst = true
  }

  init(_ ids: consuming sending LiveIDs, form: Form) {
    self.form = form
    state = Mutex(State(ids: ids))
  }

  func next(into output: inout [UInt8]) -> Bool {
    let (piece, hasMore) = state.withLock { state -> ([UInt8], Bool) in
      var piece: [UInt8] = []
      if state.isFirst, form == .json { piece += #"{"ids":["#.utf8 }
      while piece.count < Self.pieceByteCount {
        guard let id = state.ids.next() else {
          if form == .json { piece += "]}\n".utf8 }
          return (piece, false)
        }
        append(id, isFirst: state.isFirst, to: &piece)
        state.isFirst = false
      }
      return (piece, true)
    }
    output += piece
    return hasMore
  }

  private func append(_ id: [UInt8], isFirst: Bool, to piece: inout [UInt8]) {
    switch form {
    case .lines: piece += id + [0x0A]
    case .ndjson:
      JSON.append(utf8: id, to: &piece)
      piece.append(0x0A)
    case .json:
      if !isFirst { piece.append(UInt8(ascii: ",")) }
      JSON.append(utf8: id, to: &piece)
    }
  }
}
