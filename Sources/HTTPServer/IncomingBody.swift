// How far the body of a request has come: counted or chunked, seen the same way.

internal import HTTPCore

struct IncomingBody {
  private enum Rest {
    case counted(byteCount: Int)
    case chunked(ChunkedBodyDecoder)
  }

  private var rest: Rest
  /// Bytes of data moved to the receiver so far.
  private(set) var takenByteCount = 0

  init(of head: RequestHead) {
    rest =
      head.isChunked
      ? .chunked(ChunkedBodyDecoder()) : .counted(byteCount: head.contentLength ?? 0)
  }

  mutating func advance(
    over input: Span<UInt8>, consumedByteCount: inout Int
  ) throws(HTTPError) -> ChunkedBodyDecoder.Event {
    switch rest {
    case .counted(let byteCount):
      return byteCount == 0 ? .finished : .data(byteCount: byteCount)
    case .chunked(var decoder):
      defer { rest = .chunked(decoder) }
      return try decoder.advance(over: input, consumedByteCount: &consumedByteCount)
    }
  }

  mutating func didTake(byteCount: Int) {
    takenByteCount += byteCount
    switch rest {
    case .counted(let restByteCount):
      precondition(byteCount <= restByteCount, "more body than announced")
      rest = .counted(byteCount: restByteCount - byteCount)
    case .chunked(var decoder):
      decoder.didTake(byteCount: byteCount)
      rest = .chunked(decoder)
    }
  }

  /// Bytes of data that come next for certain, whatever else is in the input.
  var dataByteCount: Int {
    switch rest {
    case .counted(let byteCount): return byteCount
    case .chunked(let decoder): return decoder.dataByteCount
    }
  }
}
