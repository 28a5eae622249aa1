// Header values of the form name; key=value; key="value", as in Content-Type and
// Content-Disposition.

/// A value and its parameters, parsed strictly.
///
/// Source: RFC 9110 section 5.6.6.
struct HeaderParameters {
  /// What stands before the first semicolon, in lower case.
  let name: String
  /// Keys in lower case, values as they are, in their order; no key is there twice.
  private var parameters: [(key: String, value: String)] = []

  subscript(key: String) -> String? { parameters.first { $0.key == key }?.value }

  /// - Returns: `nil` for what breaks the grammar, repeats a key, or is not ASCII outside of
  /// quotes.
  init?(_ text: String) {
    var rest = Array(text.utf8)[...]
    Self.skipSpace(&rest)
    guard let type = Self.token(&rest, extra: "/") else { return nil }
    name = type.lowercased()
    Self.skipSpace(&rest)
    while !rest.isEmpty {
      guard rest.removeFirst() == UInt8(ascii: ";") else { return nil }
      Self.skipSpace(&rest)
      // A lone semicolon at the end is common and harmless.
      if rest.isEmpty { break }
      guard let key = Self.token(&rest, extra: "")?.lowercased(), self[key] == nil,
        rest.popFirst() == UInt8(ascii: "="),
        let value = Self.quoted(&rest) ?? Self.token(&rest, extra: "")
      else { return nil }
      parameters.append((key, value))
      Self.skipSpace(&rest)
    }
  }

  private static func skipSpace(_ rest: inout ArraySlice<UInt8>) {
    rest = rest.drop { $0 == 0x20 || $0 == 0x09 }
  }

  private static func token(_ rest: inout ArraySlice<UInt8>, extra: String) -> String? {
    let others = Array("!#$%&'*+-.^_`|~".utf8) + Array(extra.utf8)
    let part = rest.prefix { byte in
      (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
        || others.contains(byte)
    }
    guard !part.isEmpty else { return nil }
    rest = rest[part.endIndex...]
    return String(decoding: part, as: UTF8.self)
  }

  /// A quoted string; `nil` leaves `rest` as it was.
  private static func quoted(_ rest: inout ArraySlice<UInt8>) -> String? {
    guard rest.first == UInt8(ascii: "\"") else { return nil }
    var scan = rest.dropFirst()
    var value: [UInt8] = []
    while let byte = scan.popFirst() {
      switch byte {
      case UInt8(ascii: "\""):
        rest = scan
        return String(validating: value, as: UTF8.self)
      case UInt8(ascii: "\\"):
        guard let escaped = scan.popFirst() else { return nil }
        value.append(escaped)
      case 0..<0x20 where byte != 0x09, 0x7F: return nil
      default: value.append(byte)
      }
    }
    return nil
  }
}
