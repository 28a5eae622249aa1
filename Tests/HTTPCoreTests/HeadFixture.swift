// Feeds a request head to the parser: whole, or cut.

import HTTPCore
import TestContent

/// What came out of one head: comparable, so that different cuts can be held against each other.
struct Verdict: Equatable, CustomStringConvertible {
  var status: Int
  var code: String
  var byteCount: Int
  var summary: String

  var description: String { "\(status) \(code) after \(byteCount): \(summary)" }
}

/// Feeds the pieces one after the other, as a connection would.
func parse(_ pieces: [[UInt8]], limits: RequestHeadLimits = RequestHeadLimits()) throws(HTTPError)
  -> RequestHeadParser.Result?
{
  var parser = RequestHeadParser(limits: limits)
  var received: [UInt8] = []
  for piece in pieces {
    received += piece
    if let result = try parser.parse(received.span) { return result }
  }
  return nil
}

func parseHead(_ text: String) throws -> RequestHead? { try parse([Array(text.utf8)])?.head }

func verdict(_ pieces: [[UInt8]], limits: RequestHeadLimits = RequestHeadLimits()) -> Verdict {
  do throws(HTTPError) {
    guard let result = try parse(pieces, limits: limits) else {
      return Verdict(status: 0, code: "incomplete", byteCount: 0, summary: "")
    }
    let head = result.head
    let summary =
      "\(head.method) \(head.path) \(head.pathSegments) \(head.query.items) \(head.fields.all) "
      + "\(head.contentLength ?? -1) \(head.isChunked) \(head.expectsContinue) "
      + "\(head.wantsKeepAlive)"
    return Verdict(status: 200, code: "ok", byteCount: result.byteCount, summary: summary)
  } catch {
    return Verdict(status: error.status, code: error.code, byteCount: 0, summary: "\(error)")
  }
}

/// The bytes after one to four random changes, with a liking for the bytes that mean something.
func mutated(_ bytes: [UInt8], _ numbers: inout SeededGenerator) -> [UInt8] {
  let telling = Array("\r\n :;,\t\0%/?0aF-+".utf8)
  var bytes = bytes
  for _ in 0..<Int.random(in: 1...4, using: &numbers) {
    let index = Int.random(in: 0..<bytes.count, using: &numbers)
    let byte = telling[Int.random(in: 0..<telling.count, using: &numbers)]
    switch Int.random(in: 0..<4, using: &numbers) {
    case 0: bytes[index] = byte
    case 1: bytes.insert(byte, at: index)
    case 2: bytes[index] = UInt8.random(in: 0...255, using: &numbers)
    default: if bytes.count > 1 { bytes.remove(at: index) }
    }
  }
  return bytes
}

/// The whole, every split into two, and byte by byte.
func everyCut(of bytes: [UInt8]) -> [[[UInt8]]] {
  let halves = (0...bytes.count).map { [Array(bytes[..<$0]), Array(bytes[$0...])] }
  return [[bytes], bytes.map { [$0] }] + halves
}
