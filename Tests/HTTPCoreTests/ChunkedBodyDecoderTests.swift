// Chunked bodies: what is taken, what is refused. The decoder:
// Sources/HTTPCore/ChunkedBodyDecoder.swift.

import HTTPCore
import TestContent
import Testing

@Suite struct ChunkedBodyDecoderTests {
  static let valid: [(wire: String, data: String)] = [
    ("0\r\n\r\n", ""),
    ("5\r\nhello\r\n0\r\n\r\n", "hello"),
    ("5\r\nhello\r\n006\r\n world\r\n000\r\n\r\n", "hello world"),
    ("A;name=\"v\"\r\n0123456789\r\n0;x\r\n\r\n", "0123456789"),
    ("1\r\na\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", "a"),
    ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
  ]

  static let invalid: [(wire: String, status: Int, code: String)] = [
    ("\r\n", 400, "bad-chunk"),
    ("g\r\n", 400, "bad-chunk"),
    ("+5\r\nhello\r\n", 400, "bad-chunk"),
    ("-5\r\nhello\r\n", 400, "bad-chunk"),
    (" 5\r\nhello\r\n", 400, "bad-chunk"),
    ("5 \r\nhello\r\n", 400, "bad-chunk"),
    ("0x5\r\nhello\r\n", 400, "bad-chunk"),
    ("5\nhello\r\n", 400, "bad-chunk"),
    ("5\rhello\r\n", 400, "bad-chunk"),
    ("5;a\nhello\r\n", 400, "bad-chunk"),
    ("5\r\nhelloX\r\n", 400, "bad-chunk"),
    ("5\r\nhello\n0\r\n\r\n", 400, "bad-chunk"),
    ("5\r\nhello\rX", 400, "bad-chunk"),
    ("8000000000000000\r\n", 400, "bad-chunk"),
    ("ffffffffffffffff\r\n", 400, "bad-chunk"),
    ("00000000000000005\r\nhello\r\n", 400, "bad-chunk"),
    ("5;" + String(repeating: "x", count: 5000) + "\r\n", 400, "bad-chunk"),
    ("0\r\nX : 1\r\n\r\n", 400, "bad-header-field"),
    ("0\r\n folded\r\n\r\n", 400, "bad-request-framing"),
    ("0\r\nX: 1\n\r\n", 400, "bad-chunk"),
    ("0\r\nX: \u{0}\r\n\r\n", 400, "bad-chunk"),
    ("0\r\nX: " + String(repeating: "x", count: 9000) + "\r\n\r\n", 431, "head-too-large"),
  ]

  /// Data and the rest behind the body; nil when the body did not end.
  private func decode(_ pieces: [[UInt8]]) throws(HTTPError) -> (data: [UInt8], rest: [UInt8])? {
    var decoder = ChunkedBodyDecoder()
    var waiting: [UInt8] = []
    var data: [UInt8] = []
    for piece in pieces {
      waiting += piece
      while true {
        var consumed = 0
        let event = try decoder.advance(over: waiting.span, consumedByteCount: &consumed)
        waiting.removeFirst(consumed)
        if event == .finished { return (data, waiting) }
        guard case .data(let byteCount) = event, !waiting.isEmpty else { break }
        let taken = min(byteCount, waiting.count)
        data += waiting[..<taken]
        waiting.removeFirst(taken)
        decoder.didTake(byteCount: taken)
      }
    }
    return nil
  }

  @Test(arguments: valid) func givesTheDataHoweverTheBytesAreCut(_ wire: String, data: String)
    throws
  {
    for cut in everyCut(of: Array(wire.utf8)) {
      let decoded = try #require(try decode(cut))
      #expect(decoded.data == Array(data.utf8))
      #expect(decoded.rest.isEmpty)
    }
  }

  @Test(arguments: invalid) func refuses(_ wire: String, status: Int, code: String) {
    for cut in [[Array(wire.utf8)], wire.utf8.map { [$0] }] {
      do throws(HTTPError) {
        _ = try decode(cut)
        Issue.record("taken: \(wire)")
      } catch {
        #expect(error.status == status)
        #expect(error.code == code)
      }
    }
  }

  @Test(arguments: valid.indices) func judgesDamagedBodiesTheSameHoweverTheyAreCut(_ seed: Int) {
    func outcome(_ pieces: [[UInt8]]) -> String {
      do throws(HTTPError) {
        guard let decoded = try decode(pieces) else { return "incomplete" }
        return "\(decoded.data)"
      } catch { return "\(error)" }
    }
    var numbers = SeededGenerator(seed: UInt64(seed))
    for _ in 0..<300 {
      let bytes = mutated(Array(Self.valid[seed].wire.utf8), &numbers)
      #expect(outcome([bytes]) == outcome(bytes.map { [$0] }), "seed \(seed): \(bytes)")
    }
  }

  @Test func leavesTheBytesBehindTheBody() throws {
    let decoded = try decode([Array("1\r\na\r\n0\r\n\r\nGET /".utf8)])

    #expect(decoded?.rest == Array("GET /".utf8))
  }

  @Test func waitsForTheEnd() throws {
    #expect(try decode([Array("5\r\nhello\r\n0\r\n\r".utf8)]) == nil)
  }
}
