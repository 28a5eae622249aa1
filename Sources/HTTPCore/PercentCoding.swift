// Percent-encoding of target parts. Source: RFC 3986 section 2.1.

package enum PercentCoding {
  /// The text that `bytes` stand for.
  ///
  /// - Parameter plusIsSpace: True in queries, where forms write a space as `+`.
  /// - Returns: nil for a `%` without two hex digits, for bytes that are not UTF-8, and for NUL.
  package static func decode(_ bytes: some Collection<UInt8>, plusIsSpace: Bool = false) -> String?
  {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(bytes.count)
    var iterator = bytes.makeIterator()
    while let byte = iterator.next() {
      var value = byte
      if byte == ByteClass.percent {
        guard let high = iterator.next().flatMap(ByteClass.hexValue),
          let low = iterator.next().flatMap(ByteClass.hexValue)
        else { return nil }
        value = UInt8(high << 4 | low)
      } else if plusIsSpace, byte == ByteClass.plus {
        value = ByteClass.space
      }
      guard value != 0 else { return nil }
      decoded.append(value)
    }
    return String(validating: decoded, as: UTF8.self)
  }

  /// The text as one path segment or query value: everything but unreserved bytes is encoded.
  package static func encode(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var encoded: [UInt8] = []
    encoded.reserveCapacity(text.utf8.count)
    for byte in text.utf8 {
      if ByteClass.isUnreserved(byte) {
        encoded.append(byte)
      } else {
        encoded.append(ByteClass.percent)
        encoded.append(digits[Int(byte >> 4)])
        encoded.append(digits[Int(byte & 15)])
      }
    }
    return String(decoding: encoded, as: UTF8.self)
  }
}
