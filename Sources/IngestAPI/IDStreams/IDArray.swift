// One JSON array of strings and integers. Part of IDStream.swift.

internal import Foundation
internal import ShardStore

/// Goes through the tokens of an array that is never in memory as a whole.
struct IDArray: IDStreamParser {
  private enum State {
    case beforeObject, beforeName, beforeColon
    case beforeArray, beforeFirst, beforeElement, afterElement, afterArray
    case afterAll
  }

  /// The one member of the object that the array stands in; nil when it stands alone.
  private let member: String?
  private var state: State
  private var doneByteCount = 0

  init(inMember member: String? = nil) {
    self.member = member
    state = member == nil ? .beforeArray : .beforeObject
  }

  mutating func parse(
    _ bytes: [UInt8], isAtEnd: Bool, into ids: inout IDCollector
  ) throws(BodyError) -> Int {
    var position = 0
    while position < bytes.count {
      if JSONID.isBlank(bytes[position]) {
        position += 1
        continue
      }
      guard let end = endOfToken(bytes, from: position, isAtEnd: isAtEnd) else { break }
      try take(bytes[position..<end], at: position, into: &ids)
      position = end
    }
    guard !isAtEnd || (state == .afterAll && position == bytes.count) else {
      throw .badJSON(
        reason: "the \(member == nil ? "array" : "object") does not end",
        JSONPlace(offset: doneByteCount + position, row: ids.count))
    }
    doneByteCount += position
    return position
  }

  /// What stands around the array is single bytes; a brace in the array begins an object with an id.
  private func endOfToken(_ bytes: [UInt8], from start: Int, isAtEnd: Bool) -> Int? {
    switch state {
    case .beforeObject, .beforeColon, .afterArray: start + 1
    default: JSONID.endOfToken(bytes, from: start, isAtEnd: isAtEnd)
    }
  }

  private mutating func take(
    _ token: ArraySlice<UInt8>, at position: Int, into ids: inout IDCollector
  ) throws(BodyError) {
    switch (state, token.first) {
    case (.beforeObject, UInt8(ascii: "{")): state = .beforeName
    case (.beforeName, UInt8(ascii: "\"")) where JSONID.parse(token).map(isMember) == true:
      state = .beforeColon
    case (.beforeColon, UInt8(ascii: ":")): state = .beforeArray
    case (.beforeArray, UInt8(ascii: "[")): state = .beforeFirst
    case (.beforeFirst, UInt8(ascii: "]")), (.afterElement, UInt8(ascii: "]")):
      state = member == nil ? .afterAll : .afterArray
    case (.afterElement, UInt8(ascii: ",")): state = .beforeElement
    case (.afterArray, UInt8(ascii: "}")): state = .afterAll
    case (.beforeFirst, _), (.beforeElement, _):
      guard let id = JSONID.parse(token) else { fallthrough }
      ids.append(id)
      state = .afterElement
    default:
      let array = "one array of strings and integers"
      throw .badJSONShape(
        reason:
          "expected \(member.map { "an object with \($0), \(array), and nothing else" } ?? array)",
        JSONPlace(offset: doneByteCount + position, row: ids.count))
    }
  }

  private func isMember(_ name: ArraySlice<UInt8>) -> Bool {
    member.map { name.elementsEqual($0.utf8) } ?? false
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

  static func isBlank(_ byte: UInt8) -> Bool { [0x20, 0x09, 0x0A, 0x0D].contains(byte) }

  /// Where the token that starts at `start` ends; nil when that is not there yet.
  static func endOfToken(_ bytes: [UInt8], from start: Int, isAtEnd: Bool) -> Int? {
    let end: Int? =
      switch bytes[start] {
      case UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: ","): start + 1
      case UInt8(ascii: "\""): endOfString(bytes, from: start)
      case UInt8(ascii: "{"): endOfObject(bytes, from: start)
      default:
        bytes[(start + 1)...].firstIndex { isBlank($0) || $0 == 0x2C || $0 == 0x5D }
      }
    return end ?? (isAtEnd ? bytes.count : nil)
  }

  private static func endOfString(_ bytes: [UInt8], from start: Int) -> Int? {
    var position = start + 1
    while position < bytes.count {
      if bytes[position] == UInt8(ascii: "\"") { return position + 1 }
      position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
    }
    return nil
  }

  private static func endOfObject(_ bytes: [UInt8], from start: Int) -> Int? {
    var position = start
    var depth = 0
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "\""):
        guard let end = endOfString(bytes, from: position) else { return nil }
        position = end
        continue
      case UInt8(ascii: "{"): depth += 1
      case UInt8(ascii: "}"): depth -= 1
      default: break
      }
      position += 1
      if depth == 0 { return position }
    }
    return nil
  }
}
