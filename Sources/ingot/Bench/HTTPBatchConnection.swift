// Sends batches to Ingot as any HTTP client would: one keep-alive connection, one request at a time.

/// A collection of a running server.
struct HTTPTarget: BatchTarget {
  let address: ServerAddress
  let collection: String
  let mediaType: String
  let sendsKeys: Bool

  static let defaultCollection = "default"

  func connect() throws(BenchError) -> any BatchConnection {
    HTTPBatchConnection(socket: try ClientSocket.forBench(to: address), target: self)
  }

  /// Creates the collection; one that is there with the same dimension will do.
  ///
  /// The default collection is created by its first batch.
  func createCollection(dimension: Int) throws(BenchError) {
    if collection == Self.defaultCollection { return }
    let body = Array(#"{"dimension":\#(dimension),"dtype":"float32"}"#.utf8)
    let head =
      "PUT /v1/collections/\(collection) HTTP/1.1\r\nHost: \(address.authority)\r\n"
      + "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n\r\n"
    let socket = try ClientSocket.forBench(to: address)
    let request = Array(head.utf8) + body
    _ = socket.send(request, byteCount: request.count, hasMore: false)
    var reader = HTTPResponseReader()
    guard let response = reader.read(from: socket) else {
      throw BenchError("no answer to the request for the collection \(collection)")
    }
    guard (200...299).contains(response.status) else {
      throw BenchError("the collection \(collection) was refused: \(response.name)")
    }
  }
}

struct HTTPBatchConnection: BatchConnection {
  private let socket: ClientSocket
  private let sendsKeys: Bool
  /// What all requests begin with.
  private let headStart: String
  private var reader = HTTPResponseReader()
  private(set) var isUsable = true

  /// Admission refused the batch, and nothing is wrong. Sources: RFC 6585 section 4, RFC 4918 section 11.5.
  private static let refusalStatuses = [429, 507]

  init(socket: ClientSocket, target: HTTPTarget) {
    self.socket = socket
    sendsKeys = target.sendsKeys
    headStart =
      "POST /v1/collections/\(target.collection)/embeddings HTTP/1.1\r\n"
      + "Host: \(target.address.authority)\r\nContent-Type: \(target.mediaType)\r\n"
  }

  mutating func exchange(_ body: BenchBody) -> BatchAnswer {
    let head = self.head(of: body)
    // A refusal may come before the body is sent, so the answer is read in any case.
    let wasSent =
      socket.send(head, byteCount: head.count, hasMore: true)
      && socket.send(body.bytes, byteCount: body.byteCount, hasMore: false)
    guard let response = reader.read(from: socket) else {
      isUsable = false
      return .broken(reason: wasSent ? "no answer" : "connection lost")
    }
    isUsable = wasSent && response.keepsConnection
    if response.status == 201 { return .acknowledged }
    return .other(
      name: response.name, isRefusal: Self.refusalStatuses.contains(response.status))
  }

  private func head(of body: BenchBody) -> [UInt8] {
    var head = headStart + "Content-Length: \(body.byteCount)\r\n"
    if body.idsTravelBeside { head += "X-Ingot-Ids: \(body.idRange)\r\n" }
    if sendsKeys { head += "Idempotency-Key: bench-\(body.firstID)\r\n" }
    return Array((head + "\r\n").utf8)
  }
}
