// Takes the frame off a chunked body without touching its data. Source: RFC 9112 section 7.1.

/// Walks over chunk sizes, line ends and trailers; the data between is the caller's to move.
package struct ChunkedBodyDecoder: Sendable {
  package enum Event: Equatable, Sendable {
    case needsInput
    /// The next `byteCount` bytes are data; report them by ``didTake(byteCount:)``.
    case data(byteCount: Int)
    case finished
  }

  private enum State: Sendable {
    case size(digitCount: Int, value: Int)
    case sizeExtension(value: Int)
    case sizeLineFeed(value: Int)
    case data(remaining: Int)
    case dataReturn
    case dataLineFeed
    case trailer
    case finished
  }

  /// 16 hex digits hold every size below 2^63, and leading zeros have no use.
  private static let sizeDigitCountMax = 16
  /// Of all chunk extensions of one body, which nobody reads.
  private static let extensionByteCountMax = 4 << 10
  private static let trailerByteCountMax = 8 << 10

  private var state = State.size(digitCount: 0, value: 0)
  private var extensionByteCount = 0
  private var trailerByteCount = 0
  private var trailerLine: [UInt8] = []
  /// The trailer fields so far, in their order; all of them once the body is finished.
  package private(set) var trailers: [(name: String, value: String)] = []

  package init() {}

  /// Goes on over the frame until data, the end, or the end of the input.
  ///
  /// - Parameters:
  ///   - input: The bytes that follow those consumed so far.
  ///   - consumedByteCount: Set to how many of them belong to the frame and are done with.
  package mutating func advance(
    over input: Span<UInt8>, consumedByteCount: inout Int
  ) throws(HTTPError) -> Event {
    consumedByteCount = 0
    while true {
      if case .data(let remaining) = state { return .data(byteCount: remaining) }
      if case .finished = state { return .finished }
      guard consumedByteCount < input.count else { return .needsInput }
      try take(input[consumedByteCount])
      consumedByteCount += 1
    }
  }

  /// Bytes of data that come next, without any frame before them.
  package var dataByteCount: Int {
    if case .data(let remaining) = state { remaining } else { 0 }
  }

  /// The caller has moved that many bytes of the data announced.
  package mutating func didTake(byteCount: Int) {
    guard case .data(let remaining) = state, byteCount <= remaining else {
      preconditionFailure("took \(byteCount) bytes that are not data of this chunk")
    }
    state = byteCount == remaining ? .dataReturn : .data(remaining: remaining - byteCount)
  }

  private mutating func take(_ byte: UInt8) throws(HTTPError) {
    switch state {
    case .size(let digitCount, let value):
      try takeSize(byte, digitCount: digitCount, value: value)
    case .sizeExtension(let value):
      try takeExtension(byte, value: value)
    case .sizeLineFeed(let value):
      try expect(byte, ByteClass.lineFeed, "a line feed after the chunk size")
      state = value == 0 ? .trailer : .data(remaining: value)
    case .dataReturn:
      try expect(byte, ByteClass.carriageReturn, "CRLF after the chunk data")
      state = .dataLineFeed
    case .dataLineFeed:
      try expect(byte, ByteClass.lineFeed, "CRLF after the chunk data")
      state = .size(digitCount: 0, value: 0)
    case .trailer:
      try takeTrailer(byte)
    case .data, .finished:
      preconditionFailure("no frame byte is due here")
    }
  }

  private func expect(_ byte: UInt8, _ expected: UInt8, _ text: String) throws(HTTPError) {
    guard byte == expected else { throw .badChunk(found: quoted([byte]), expected: text) }
  }

  private mutating func takeSize(_ byte: UInt8, digitCount: Int, value: Int) throws(HTTPError) {
    if let digit = ByteClass.hexValue(byte) {
      guard digitCount < Self.sizeDigitCountMax, value <= Int.max >> 4 else {
        throw .badChunk(found: "an overlong chunk size", expected: "a size below 2^63")
      }
      state = .size(digitCount: digitCount + 1, value: value << 4 | digit)
    } else if digitCount > 0, byte == ByteClass.carriageReturn {
      state = .sizeLineFeed(value: value)
    } else if digitCount > 0, byte == ByteClass.semicolon {
      state = .sizeExtension(value: value)
    } else {
      throw .badChunk(
        found: "\(quoted([byte])) in a chunk size", expected: "hex digits, then ';' or CRLF")
    }
  }

  private mutating func takeExtension(_ byte: UInt8, value: Int) throws(HTTPError) {
    if byte == ByteClass.carriageReturn {
      state = .sizeLineFeed(value: value)
      return
    }
    extensionByteCount += 1
    guard !ByteClass.isForbiddenControl(byte), extensionByteCount <= Self.extensionByteCountMax
    else {
      throw .badChunk(
        found: "a bad or overlong chunk extension",
        expected: "at most \(Self.extensionByteCountMax) bytes of text")
    }
  }

  /// Trailer fields are checked like header fields and kept for whoever asks: a client finds a digest there.
  private mutating func takeTrailer(_ byte: UInt8) throws(HTTPError) {
    trailerByteCount += 1
    guard trailerByteCount <= Self.trailerByteCountMax else {
      throw .headTooLarge(byteCountMax: Self.trailerByteCountMax)
    }
    let followsReturn = trailerLine.last == ByteClass.carriageReturn
    if byte == ByteClass.lineFeed, followsReturn {
      trailerLine.removeLast()
      if trailerLine.isEmpty {
        state = .finished
      } else {
        trailers.append(try FieldLine.parse(trailerLine.span))
        trailerLine.removeAll(keepingCapacity: true)
      }
      return
    }
    guard !followsReturn, byte == ByteClass.carriageReturn || !ByteClass.isForbiddenControl(byte)
    else { throw .badChunk(found: "\(quoted([byte])) in a trailer", expected: "text and CRLF") }
    trailerLine.append(byte)
  }
}
