// Ids that come beside an application/x-npy body: the header X-Ingot-Ids or the query first_id.

/// Ids of a batch, given without its body.
package enum ExternalIDs: Sendable, Equatable {
  /// The integers from `first` to `last`, both included.
  case range(first: UInt64, last: UInt64)
  /// As many integers as there are rows, from `first` on.
  case from(first: UInt64)
  /// One id per row.
  case list([String])

  /// The value of `X-Ingot-Ids`: `1000..1511`, or ids with commas between them.
  ///
  /// A value of that first form is always a range; ids in a list have no space around them and no
  /// comma inside.
  package init(headerValue: String) throws(BodyError) {
    if let range = try Self.range(headerValue) {
      self = range
      return
    }
    let ids = headerValue.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
      .map { String(Self.trimmed($0)) ?? "" }
    if let empty = ids.firstIndex(of: "") {
      throw .badIDsHeader(reason: "id \(empty) of the list is empty")
    }
    self = .list(ids)
  }

  /// The value of the query parameter `first_id`, in decimal digits.
  package init(firstID: String) throws(BodyError) {
    guard let first = Self.integer(firstID[...].utf8) else {
      throw .badIDsHeader(reason: "first_id must be an integer from 0 to \(UInt64.max)")
    }
    self = .from(first: first)
  }

  private static func range(_ value: String) throws(BodyError) -> ExternalIDs? {
    let text = trimmed(value[...].utf8)
    guard let dots = text.firstIndex(of: UInt8(ascii: ".")) else { return nil }
    let behind = text.index(after: dots)
    guard behind < text.endIndex, text[behind] == UInt8(ascii: ".") else { return nil }
    let (head, tail) = (text[..<dots], text[text.index(after: behind)...])
    guard isDigits(head), isDigits(tail) else { return nil }
    guard let first = integer(head), let last = integer(tail), first <= last else {
      throw .badIDsHeader(reason: "a range runs upwards, from 0 to at most \(UInt64.max)")
    }
    return .range(first: first, last: last)
  }

  private static func isDigits(_ text: Substring.UTF8View) -> Bool {
    !text.isEmpty && text.allSatisfy { (48...57).contains($0) }
  }

  private static func integer(_ text: Substring.UTF8View) -> UInt64? {
    isDigits(text) ? UInt64(Substring(text)) : nil
  }

  private static func trimmed(_ text: Substring.UTF8View) -> Substring.UTF8View {
    let isSpace = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
    var rest = text.drop(while: isSpace)
    while let last = rest.last, isSpace(last) { rest.removeLast() }
    return rest
  }
}

extension ExternalIDs {
  /// - Parameter rowCount: The rows of the batch, within its limit.
  func collect(rowCount: Int) throws(BodyError) -> IDCollector {
    var ids = IDCollector(expecting: rowCount)
    switch self {
    case .range(let first, let last):
      let (idCount, overflow) = (last - first).addingReportingOverflow(1)
      guard !overflow, idCount == UInt64(rowCount) else {
        let shown = overflow ? Int.max : Int(clamping: idCount)
        throw .idCountMismatch(idCount: shown, rowCount: rowCount)
      }
      for id in first...last { ids.append(decimal: id) }
    case .from(let first):
      let (last, overflow) = first.addingReportingOverflow(UInt64(rowCount) - 1)
      guard !overflow else {
        throw .badIDsHeader(reason: "first_id + \(rowCount) rows goes beyond \(UInt64.max)")
      }
      for id in first...last { ids.append(decimal: id) }
    case .list(let list):
      guard list.count == rowCount else {
        throw .idCountMismatch(idCount: list.count, rowCount: rowCount)
      }
      for id in list {
        var id = id
        id.withUTF8 { ids.append(UnsafeRawBufferPointer($0)) }
      }
    }
    return ids
  }
}
