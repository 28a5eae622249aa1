// A response on its way: where the next piece of its body comes from. Sent by
// Connection+Writing.swift.

internal import HTTPCore

struct OutgoingResponse {
  enum Piece {
    /// - offset: Bytes at the front that are not to be sent.
    case bytes([UInt8], offset: Int)
    /// The producer had nothing; ask again in the next turn.
    case nothingYet
    case finished
    /// The body cannot be completed as announced.
    case broken
  }

  /// What a producer is expected to append at once, with some room.
  private static let pieceByteCount = 72 << 10
  /// 16 hex digits and CRLF.
  private static let sizeLineByteCountMax = 18

  let status: Int
  private let framing: ResponseFraming
  private var producer: (any BodyProducer)?
  private var remaining = 0
  var sentByteCount = 0

  init(status: Int, framing: ResponseFraming, producer: (any BodyProducer)?) {
    self.status = status
    self.framing = framing
    self.producer = framing == .none ? nil : producer
    if case .counted(let byteCount) = framing { remaining = byteCount }
    if remaining == 0, case .counted = framing { self.producer = nil }
  }

  var hasMore: Bool { producer != nil }

  /// Asks the producer once.
  mutating func nextPiece() -> Piece {
    guard let producer else { return .finished }
    let prefix = framing == .chunked ? Self.sizeLineByteCountMax : 0
    var piece: [UInt8] = []
    piece.reserveCapacity(Self.pieceByteCount)
    piece.append(contentsOf: repeatElement(0, count: prefix))
    guard let hasMore = try? producer.next(into: &piece), piece.count >= prefix else {
      return .broken
    }
    if !hasMore { self.producer = nil }
    let byteCount = piece.count - prefix
    if case .counted = framing {
      guard byteCount <= remaining, hasMore || byteCount == remaining else { return .broken }
      remaining -= byteCount
      if remaining == 0 { self.producer = nil }
    }
    let offset =
      framing == .chunked
      ? frame(&piece, byteCount: byteCount, end: hasMore ? nil : producer.trailers) : 0
    if piece.count > offset { return .bytes(piece, offset: offset) }
    return self.producer == nil ? .finished : .nothingYet
  }

  /// Puts the size line right before the data, at the end of the space kept for it.
  ///
  /// - Parameter end: the trailers, when this is the last piece.
  private func frame(
    _ piece: inout [UInt8], byteCount: Int, end: [(name: String, value: String)]?
  ) -> Int {
    var offset = Self.sizeLineByteCountMax
    if byteCount > 0 {
      let sizeLine = ResponseEncoder.chunkSizeLine(byteCount: byteCount)
      offset -= sizeLine.count
      for (index, byte) in sizeLine.enumerated() { piece[offset + index] = byte }
      piece.append(contentsOf: ResponseEncoder.chunkEnd)
    }
    if let end { piece.append(contentsOf: ResponseEncoder.lastChunk(trailers: end)) }
    return offset
  }
}
