// Sends batches to the bare server. Its counterpart: FloorServer.swift.

/// The bare server: 8 bytes of length, the body; one byte of answer.
struct FloorTarget: BatchTarget {
  let address: ServerAddress

  func connect() throws(BenchError) -> any BatchConnection {
    FloorConnection(socket: try ClientSocket.forBench(to: address))
  }
}

struct FloorConnection: BatchConnection {
  private let socket: ClientSocket
  private var answer: [UInt8] = [0]
  private(set) var isUsable = true

  init(socket: ClientSocket) { self.socket = socket }

  mutating func exchange(_ body: BenchBody) -> BatchAnswer {
    let length = FloorProtocol.lengthBytes(body.byteCount)
    guard socket.send(length, byteCount: length.count, hasMore: true),
      socket.send(body.bytes, byteCount: body.byteCount, hasMore: false),
      socket.receive(into: &answer, at: 0) == 1
    else {
      isUsable = false
      return .broken(reason: "connection lost")
    }
    return .acknowledged
  }
}

/// What both sides of the bare server agree on.
enum FloorProtocol {
  static let lengthByteCount = 8
  /// The line that the server prints when it is ready begins like this; host and port follow.
  static let readyPrefix = "ingot: floor server on "

  /// Little-endian.
  static func lengthBytes(_ byteCount: Int) -> [UInt8] {
    (0..<lengthByteCount).map { UInt8(truncatingIfNeeded: byteCount >> ($0 * 8)) }
  }

  static func byteCount(_ bytes: [UInt8]) -> Int {
    bytes.prefix(lengthByteCount).reversed().reduce(0) { $0 << 8 | Int($1) }
  }
}
