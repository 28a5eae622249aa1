// Which part of a representation a request asks for. Source: RFC 9110 section 14.

/// A `Range` field held against a representation of a known length.
package enum ByteRange: Equatable, Sendable {
  /// No range, one that is to be ignored, or several: RFC 9110 section 14.2 lets a server answer them whole.
  case whole
  /// Not empty, within the representation.
  case part(Range<Int>)
  /// Nothing of it is there: 416.
  case unsatisfiable

  /// - Parameters:
  ///   - fields: of a GET; for other methods a range means nothing.
  ///   - byteCount: of the representation.
  package init(_ fields: HTTPFields, byteCount: Int) {
    let values = fields.all("Range")
    self = values.count == 1 ? Self.range(values[0], byteCount: byteCount) : .whole
  }

  private static func range(_ value: String, byteCount: Int) -> ByteRange {
    let parts = value.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, HTTPFields.isSameName(String(parts[0]), "bytes") else { return .whole }
    let ends = parts[1].split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, let first = Position(ends[0]), let last = Position(ends[1]) else {
      return .whole
    }
    switch (first, last) {
    case (.none, .none): return .whole
    case (.none, .at(let suffix)):
      guard suffix > 0, byteCount > 0 else { return .unsatisfiable }
      return .part(max(0, byteCount - suffix)..<byteCount)
    case (.at(let start), .none):
      return start < byteCount ? .part(start..<byteCount) : .unsatisfiable
    case (.at(let start), .at(let end)):
      guard start <= end else { return .whole }
      return start < byteCount ? .part(start..<(min(end, byteCount - 1) + 1)) : .unsatisfiable
    }
  }

  /// One end of a range: digits, or nothing.
  private enum Position {
    case none
    case at(Int)

    /// - Returns: nil for anything but digits. More of them than fit stand for the largest number.
    init?(_ text: Substring) {
      guard !text.isEmpty else {
        self = .none
        return
      }
      guard text.utf8.allSatisfy(ByteClass.isDigit) else { return nil }
      self = .at(Int(text) ?? Int.max)
    }
  }
}
