// One JSON array of strings and integers. Part of IDStream.swift.

internal import Foundation
internal import ShardStore

/// Goes through the tokens of an array that is never in memory as a whole.
struct IDArray: IDStreamParser {
  private enum State { case beforeArray, beforeFirst, beforeElement, afterElement, afterArray }

  private var state = State.beforeArray
  private var doneByteCount = 0

  mutating func parse(
    _ bytes: [UInt8], isAtEnd: Bool, into ids: inout IDCollector
  ) throws(BodyError) -> Int {
    var position = 0
    while position < bytes.count {
      if [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) {
        position += 1
        continue
      }
      guard let end = JSONID.endOfToken(bytes, from: position, isAtEnd: isAtEnd) else { break }
      try take(bytes[position..<end], at: position, into: &ids)
      position = end
    }
    guard !isAtEnd || (state == .afterArray && position == bytes.count) else {
      throw .badJSON(
        reason: "the array does not end",
        JSONPlace(offset: doneByteCount + position, row: ids.count))
    }
    doneByteCount += position
    return position
  }

  private mutating func take(
    _ token: ArraySlice<UInt8>, at position: Int, into ids: inout IDCollector
  ) throws(BodyError) {
    switch (state, token.first) {
    case (.beforeArray, UInt8(ascii: "[")): state = .beforeFirst
    case (.beforeFirst, UInt8(ascii: "]")), (.afterElement, UInt8(ascii: "]")):
      state = .afterArray
    case (.afterElement, UInt8(ascii: ",")): state = .beforeElement
    case (.beforeFirst, _), (.beforeElement, _):
      guard let id = JSONID.parse(token) else { fallthrough }
      ids.append(id)
      state = .afterElement
    default:
      throw .badJSONShape(
        reason: "expected one array of strings and integers",
        JSONPlace(offset: doneByteCount + position, row: ids.count))
    }
  }
}

/// One id as JSON.
enum JSONID {
  private struct Object: Decodable {
    let id: String

    private enum Key: CodingKey { case id }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: Key.self)
      if let number = try? values.decode(Int64.self, forKey: .id) {
        id = String(number)
      } else {
        id = try values.decode(String.self, forKey: .id)
      }
    }
  }

  /// The bytes of an id; nil when the text is no string, integer or object with an id.
  static func parse(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    guard let first = text.first, let last = text.last else { return nil }
    switch first {
    case UInt8(ascii: "\""):
      let inner = text.dropFirst().dropLast()
      guard text.count >= 2, last == first else { return nil }
      // Without escapes and control bytes, the text is the id.
      if inner.allSatisfy({ $0 >= 0x20 && $0 != first && $0 != UInt8(ascii: "\\") }) {
        return inner
      }
      return (try? JSONDecoder().decode(String.self, from: Data(text))).map { Array($0.utf8)[...] }
    case UInt8(ascii: "{"):
      return (try? JSONDecoder().decode(Object.self, from: Data(text))).map {
        Array($0.id.utf8)[...]
      }
    default:
      let digits = first == UInt8(ascii: "-") ? text.dropFirst() : text
      let isInteger =
        (1...20).contains(digits.count) && digits.allSatisfy { (0x30...0x39).contains($0) }
        && (digits.count == 1 || digits.first != 0x30)
      return isInteger ? text : nil
    }
  }

  /// Where the token that starts at `start` ends; nil when that is not there yet.
  static func endOfToken(_ bytes: [UInt8], from start: Int, isAtEnd: Bool) -> Int? {
    var position = start + 1
    switch bytes[start] {
    case UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: ","):
      return position
    case UInt8(ascii: "\""):
      while position < bytes.count {
        if bytes[position] == UInt8(ascii: "\"") { return position + 1 }
        position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
      }
      return isAtEnd ? bytes.count : nil
    default:
      while position < bytes.count {
        if [0x20, 0x09, 0x0A, 0x0D, 0x2C, 0x5D].contains(bytes[position]) { return position }
        position += 1
      }
      return isAtEnd ? bytes.count : nil
    }
  }
}
