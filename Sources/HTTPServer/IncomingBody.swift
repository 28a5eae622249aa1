// How far the body of a request has come: counted or chunked, seen the same way.

internal import HTTPCore

enum IncomingBody {
  case counted(remaining: Int)
  case chunked(ChunkedBodyDecoder)

  init(of head: RequestHead) {
    self =
      head.isChunked
      ? .chunked(ChunkedBodyDecoder()) : .counted(remaining: head.contentLength ?? 0)
  }

  mutating func advance(
    over input: Span<UInt8>, consumedByteCount: inout Int
  ) throws(HTTPError) -> ChunkedBodyDecoder.Event {
    switch self {
    case .counted(let remaining):
      return remaining == 0 ? .finished : .data(byteCount: remaining)
    case .chunked(var decoder):
      defer { self = .chunked(decoder) }
      return try decoder.advance(over: input, consumedByteCount: &consumedByteCount)
    }
  }

  mutating func didTake(byteCount: Int) {
    switch self {
    case .counted(let remaining):
      precondition(byteCount <= remaining, "more body than announced")
      self = .counted(remaining: remaining - byteCount)
    case .chunked(var decoder):
      decoder.didTake(byteCount: byteCount)
      self = .chunked(decoder)
    }
  }

  /// Bytes of data that come next for certain, whatever else is in the input.
  var dataByteCount: Int {
    switch self {
    case .counted(let remaining): return remaining
    case .chunked(let decoder): return decoder.dataByteCount
    }
  }
}
