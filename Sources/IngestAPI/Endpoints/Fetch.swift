// POST …/fetch: the newest vectors of many ids, as a NumPy archive or as JSON. Of one id: Vectors.swift.

internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore

extension IngestAPI {
  private static let fetchTypes = ["application/x-npz", "application/json"]
  /// Ids of one request, as JSON text.
  static let fetchByteCountMax = 16 << 20

  func fetch(_ call: Call) -> (any BodyReceiver)? {
    withReceiver(call) { [self] collection throws(RequestRefused) in
      guard let type = call.acceptedType(of: Self.fetchTypes) else {
        throw RequestRefused(.notAcceptable(Self.fetchTypes))
      }
      try Self.requireJSON(call)
      return try receiver(for: call, byteCountMax: Self.fetchByteCountMax, passesReserve: true) {
        [self] received, responder in
        workers.run { [self] in
          responder.answer { () throws(RequestRefused) in
            try fetched(from: received, in: collection, type: type)
          }
        }
      }
    }
  }

  private func fetched(
    from received: CollectedBody.Received, in collection: Collection, type: String
  ) throws(RequestRefused) -> Response {
    let ids = try Self.wantedIDs(received.body)
    var answer = FetchAnswer(ids: ids, collection: collection, isJSON: type == "application/json")
    for number in 0..<ids.count {
      answer.add(number, at: try Self.place(of: Array(ids[number]), in: collection))
      guard answer.byteCount <= configuration.bodyByteCountMax else {
        throw RequestRefused(.answerTooLarge(byteCountMax: configuration.bodyByteCountMax))
      }
    }
    guard received.permit.grow(by: answer.byteCount) else {
      throw RequestRefused(Problem(.inFlightLimit(byteCountMax: received.permit.limit)))
    }
    let fields = HTTPFields([
      ("Content-Type", type), ("X-Ingot-Missing-Count", "\(answer.missing.count)"),
    ])
    return Response(status: 200, fields: fields, body: .bytes(try answer.bytes()))
  }

  private static func wantedIDs(_ body: PooledBody) throws(RequestRefused) -> IDList {
    var stream = IDStream(inMember: "ids")
    do throws(BodyError) {
      try stream.append(unsafe body.bytes)
      try stream.finish()
      let ids = try stream.take()
      guard ids.count > 0 else {
        throw .badJSONShape(reason: "ids is empty, expected at least one", JSONPlace())
      }
      return ids
    } catch {
      throw RequestRefused(Problem(error))
    }
  }
}

extension Problem {
  fileprivate static func answerTooLarge(byteCountMax: Int) -> Problem {
    Problem(
      status: 413, code: "body-too-large",
      detail: "the answer would have more than the \(byteCountMax) bytes that are allowed; ask for "
        + "fewer ids at once",
      members: [("limit", .integer(byteCountMax))])
  }
}

/// What an answer will hold; how large it will be is known before it is made.
private struct FetchAnswer {
  private let ids: IDList
  private let collection: Collection
  private let isJSON: Bool
  private var found: [(number: Int, shard: Shard, row: Int)] = []
  private(set) var missing: [Int] = []
  private var foundStrings = NumPyStrings()
  private var missingStrings = NumPyStrings()
  /// As JSON, with commas.
  private var idTextByteCount = 0

  init(ids: IDList, collection: Collection, isJSON: Bool) {
    (self.ids, self.collection, self.isJSON) = (ids, collection, isJSON)
  }

  /// - Parameter place: nil when nothing is stored of the id.
  mutating func add(_ number: Int, at place: (shard: Shard, row: Int)?) {
    if let place {
      found.append((number, place.shard, place.row))
      foundStrings.add(ids[number])
    } else {
      missing.append(number)
      missingStrings.add(ids[number])
    }
    if isJSON { idTextByteCount += JSON.byteCount(utf8: ids[number]) + 1 }
  }

  /// What the answer has at most.
  var byteCount: Int {
    isJSON
      ? Self.jsonFrameByteCount + idTextByteCount
        + found.count * (3 + collection.dimension * Vector.numberByteCountMax)
      : StoredZip.frameByteCountMax + foundStrings.byteCountMax + missingStrings.byteCountMax
        + NumPyFile.headerByteCountMax
        + found.count * collection.dimension * collection.dtype.byteCount
  }

  private static let jsonFrameByteCount = #"{"ids":[],"embeddings":[],"missing":[]} "#.utf8.count

  func bytes() throws(RequestRefused) -> [UInt8] { isJSON ? try json() : try archive() }

  private func json() throws(RequestRefused) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(byteCount)
    out += #"{"ids":"#.utf8
    append(found.map(\.number), to: &out)
    out += #","embeddings":"#.utf8
    try JSON.append(found, to: &out, from: "[", to: "]") { one, out throws(RequestRefused) in
      try Vector(row: one.row, of: one.shard, dtype: collection.dtype).append(to: &out)
    }
    out += #","missing":"#.utf8
    append(missing, to: &out)
    out += "}\n".utf8
    return out
  }

  private func append(_ numbers: [Int], to out: inout [UInt8]) {
    JSON.append(numbers, to: &out, from: "[", to: "]") { JSON.append(utf8: ids[$0], to: &$1) }
  }

  private func archive() throws(RequestRefused) -> [UInt8] {
    var archive = StoredZip(byteCount: byteCount)
    archive.add("ids.npy") { foundStrings.append(found.lazy.map { ids[$0.number] }, to: &$0) }
    try archive.add("embeddings.npy") { out throws(RequestRefused) in
      out += NumPyFile.header(
        dtype: collection.dtype, rowCount: found.count, dimension: collection.dimension)
      for one in found {
        out += try Vector(row: one.row, of: one.shard, dtype: collection.dtype).bytes
      }
    }
    archive.add("missing.npy") { missingStrings.append(missing.lazy.map { ids[$0] }, to: &$0) }
    return archive.finish()
  }
}
