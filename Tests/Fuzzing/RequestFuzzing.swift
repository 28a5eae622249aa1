// Request heads and chunked bodies: the verdict does not depend on how the bytes are cut. Part of FuzzTarget.swift.

internal import HTTPCore

enum RequestFuzzing {
  static func run(_ bytes: [UInt8]) -> String? {
    let whole = verdict(bytes, pieceByteCount: max(1, bytes.count))
    for pieceByteCount in [1, 7] {
      let cut = verdict(bytes, pieceByteCount: pieceByteCount)
      if cut != whole { return "in pieces of \(pieceByteCount): \(cut), at once: \(whole)" }
    }
    return nil
  }

  private static func verdict(_ bytes: [UInt8], pieceByteCount: Int) -> String {
    var parser = RequestHeadParser(limits: RequestHeadLimits())
    var end = 0
    while end < bytes.count {
      end = min(end + pieceByteCount, bytes.count)
      let received = Array(bytes[..<end])
      do throws(HTTPError) {
        guard let result = try parser.parse(received.span) else { continue }
        let head = result.head
        let text =
          "\(head.method) \(head.path) \(head.query.items) \(head.fields.all) "
          + "\(head.contentLength ?? -1) \(head.isChunked) \(head.wantsKeepAlive) "
          + "\(ByteRange(head.fields, byteCount: 1000)) \(result.byteCount)"
        guard head.isChunked else { return text }
        return text + body(Array(bytes[result.byteCount...]), pieceByteCount: pieceByteCount)
      } catch {
        return "\(error.status) \(error.code)"
      }
    }
    return "incomplete"
  }

  private static func body(_ bytes: [UInt8], pieceByteCount: Int) -> String {
    var decoder = ChunkedBodyDecoder()
    var data: [UInt8] = []
    var position = 0
    var end = min(pieceByteCount, bytes.count)
    while true {
      do throws(HTTPError) {
        var consumed = 0
        let input = Array(bytes[position..<end])
        switch try decoder.advance(over: input.span, consumedByteCount: &consumed) {
        case .finished: return " \(data) \(decoder.trailers.map(\.name)) \(position + consumed)"
        case .needsInput:
          position += consumed
          guard end < bytes.count else { return " \(data) incomplete" }
          end = min(end + pieceByteCount, bytes.count)
        case .data(let byteCount):
          position += consumed
          let taken = min(byteCount, end - position)
          data += bytes[position..<(position + taken)]
          decoder.didTake(byteCount: taken)
          position += taken
          guard taken < byteCount || position < end || end < bytes.count else { continue }
          guard end < bytes.count || position < end else { return " \(data) incomplete" }
          end = max(end, min(position + pieceByteCount, bytes.count))
        }
      } catch {
        return " \(error.status) \(error.code)"
      }
    }
  }
}
