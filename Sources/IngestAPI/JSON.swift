// JSON for answers: small documents, written in one pass. Bodies that come in are simdjson's.

/// A JSON value whose object members keep their order.
enum JSON: Sendable {
  case null
  case bool(Bool)
  case integer(Int)
  case number(Double)
  case string(String)
  case array([JSON])
  case object([(name: String, value: JSON)])
  /// Text that is JSON already.
  case text([UInt8])

  var bytes: [UInt8] {
    var out: [UInt8] = []
    append(to: &out)
    return out
  }

  func append(to out: inout [UInt8]) {
    switch self {
    case .null: out += "null".utf8
    case .bool(let value): out += (value ? "true" : "false").utf8
    case .integer(let value): out += String(value).utf8
    case .number(let value): out += (value.isFinite ? "\(value)" : "null").utf8
    case .string(let value): Self.append(value, to: &out)
    case .text(let value): out += value
    case .array(let values):
      Self.append(values, to: &out, from: "[", to: "]") { $0.append(to: &$1) }
    case .object(let members):
      Self.append(members, to: &out, from: "{", to: "}") { member, out in
        Self.append(member.name, to: &out)
        out.append(UInt8(ascii: ":"))
        member.value.append(to: &out)
      }
    }
  }

  static func append<Element, Failure>(
    _ elements: [Element], to out: inout [UInt8], from open: Unicode.Scalar,
    to close: Unicode.Scalar, _ appendElement: (Element, inout [UInt8]) throws(Failure) -> Void
  ) throws(Failure) {
    out.append(UInt8(ascii: open))
    for (index, element) in elements.enumerated() {
      if index > 0 { out.append(UInt8(ascii: ",")) }
      try appendElement(element, &out)
    }
    out.append(UInt8(ascii: close))
  }

  /// A string with its quotes. Source: RFC 8259 section 7.
  static func append(_ text: String, to out: inout [UInt8]) {
    append(utf8: text.utf8, to: &out)
  }

  static func append(utf8 text: some Sequence<UInt8>, to out: inout [UInt8]) {
    let digits = Array("0123456789abcdef".utf8)
    out.append(UInt8(ascii: "\""))
    for byte in text {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): out += [UInt8(ascii: "\\"), byte]
      case 0x0A: out += "\\n".utf8
      case 0x00..<0x20, 0x7F:
        out += "\\u00".utf8
        out += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: out.append(byte)
      }
    }
    out.append(UInt8(ascii: "\""))
  }

  /// Bytes of a string with its quotes.
  static func byteCount(utf8 text: some Sequence<UInt8>) -> Int {
    text.reduce(2) { count, byte in
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x0A: count + 2
      case 0x00..<0x20, 0x7F: count + 6
      default: count + 1
      }
    }
  }
}

extension JSON {
  static func optional(_ value: String?) -> JSON { value.map { .string($0) } ?? .null }
  static func optional(_ value: Int?) -> JSON { value.map { .integer($0) } ?? .null }
  static func optional(_ value: Double?) -> JSON { value.map { .number($0) } ?? .null }
}
