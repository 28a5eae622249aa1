// Where the rows start behind a header that cannot be read. Used by SalvageLayout.swift.

internal import ShardStore

/// A length for a damaged header, and why this one.
///
/// NumPy pads a header with spaces and a line break so that the rows start at a multiple of 64 bytes (16
/// before version 1.14). Source: numpy/lib/format.py, ARRAY_ALIGN.
struct HeaderGuess: Equatable {
  let byteCount: Int
  let reason: String

  private static let alignment = 64
  private static let olderAlignment = 16
  private static let newline = UInt8(ascii: "\n")

  init(head: [UInt8]) {
    if let length = Self.declared(head) {
      (byteCount, reason) = (length, "its length field says so")
    } else if let length = Self.byLineBreak(head) {
      (byteCount, reason) = (length, "its padding ends there")
    } else {
      (byteCount, reason) = (NumPyHeader.canonicalByteCount, "NumPy's usual length")
    }
  }

  /// The length field, when a line break stands where it says.
  private static func declared(_ head: [UInt8]) -> Int? {
    guard head.count > 12, (1...3).contains(head[6]) else { return nil }
    // Version 1 has two bytes for the length, versions 2 and 3 have four.
    let field = head[6] == 1 ? 8..<10 : 8..<12
    let end = field.upperBound + field.reversed().reduce(0) { $0 << 8 | Int(head[$1]) }
    guard end % olderAlignment == 0, end <= head.count, endsHeader(head, at: end) else {
      return nil
    }
    return end
  }

  private static func byLineBreak(_ head: [UInt8]) -> Int? {
    stride(from: alignment, through: head.count, by: alignment).first { endsHeader(head, at: $0) }
  }

  private static func endsHeader(_ head: [UInt8], at end: Int) -> Bool {
    end >= 2 && head[end - 1] == newline
      && [UInt8(ascii: " "), UInt8(ascii: "}")].contains(head[end - 2])
  }
}
