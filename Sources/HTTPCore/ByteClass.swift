// The byte classes of HTTP's grammar, and how foreign bytes are shown in error texts.
// Source: RFC 9110 section 5.6.2 (token), 5.5 (field values).

enum ByteClass {
  static let tab: UInt8 = 0x09
  static let lineFeed: UInt8 = 0x0A
  static let carriageReturn: UInt8 = 0x0D
  static let space: UInt8 = 0x20
  static let percent: UInt8 = 0x25
  static let plus: UInt8 = 0x2B
  static let comma: UInt8 = 0x2C
  static let slash: UInt8 = 0x2F
  static let colon: UInt8 = 0x3A
  static let semicolon: UInt8 = 0x3B

  static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x30...0x39, 0x41...0x5A, 0x5E...0x7A, 0x7C,
      0x7E:
      true
    default: false
    }
  }

  static func isDigit(_ byte: UInt8) -> Bool { 0x30...0x39 ~= byte }

  static func isVisible(_ byte: UInt8) -> Bool { 0x21...0x7E ~= byte }

  static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab }

  /// Control bytes have no place in a head, apart from the tab in field values and the line ends.
  static func isForbiddenControl(_ byte: UInt8) -> Bool {
    (byte < 0x20 && byte != tab) || byte == 0x7F
  }

  /// unreserved of RFC 3986: what percent-encoding leaves as it is.
  static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: true
    default: false
    }
  }

  /// uri-host with an optional port: unreserved, sub-delims, percent, brackets and the colon.
  static func isAuthority(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x21, 0x24, 0x25...0x2C, 0x3A, 0x3B, 0x3D, 0x5B, 0x5D: true
    default: isUnreserved(byte)
    }
  }

  static func hexValue(_ byte: UInt8) -> Int? {
    switch byte {
    case 0x30...0x39: Int(byte) - 0x30
    case 0x41...0x46: Int(byte) - 0x41 + 10
    case 0x61...0x66: Int(byte) - 0x61 + 10
    default: nil
    }
  }

  static func lowercased(_ byte: UInt8) -> UInt8 {
    0x41...0x5A ~= byte ? byte | 0x20 : byte
  }
}

/// What was found, for an error text: quoted, control bytes escaped, cut after 64 bytes.
func quoted(_ bytes: some Sequence<UInt8>) -> String {
  var text = "'"
  for (index, byte) in bytes.enumerated() {
    if index == 64 {
      text += "…"
      break
    }
    if byte == ByteClass.space || ByteClass.isVisible(byte) {
      text.unicodeScalars.append(Unicode.Scalar(byte))
    } else {
      text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
  }
  return text + "'"
}

extension Span where Element == UInt8 {
  /// The bytes as an own array, for the few places that keep them.
  var copied: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    for index in indices { bytes.append(self[index]) }
    return bytes
  }

  /// The text; bytes that are not UTF-8 become the replacement character.
  var text: String { String(decoding: copied, as: UTF8.self) }

  /// Without spaces and tabs at both ends.
  func trimmedRange() -> Range<Int> {
    var start = 0
    var end = count
    while start < end, ByteClass.isBlank(self[start]) { start += 1 }
    while end > start, ByteClass.isBlank(self[end - 1]) { end -= 1 }
    return start..<end
  }
}
