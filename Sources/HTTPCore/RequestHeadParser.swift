// Finds and checks a request head in bytes that arrive in any pieces. Its result:
// RequestHead.swift.

/// How large a head may be.
package struct RequestHeadLimits: Sendable {
  package var headByteCountMax: Int
  package var targetByteCountMax: Int
  package var fieldCountMax: Int

  package init(
    headByteCountMax: Int = 16 << 10, targetByteCountMax: Int = 8 << 10, fieldCountMax: Int = 100
  ) {
    self.headByteCountMax = headByteCountMax
    self.targetByteCountMax = targetByteCountMax
    self.fieldCountMax = fieldCountMax
  }
}

/// Remembers how far it has looked, so that the cost is linear however the bytes are cut, and
/// judges byte by byte, so that the verdict does not depend on the cut either.
package struct RequestHeadParser: Sendable {
  package struct Result: Sendable {
    package let head: RequestHead
    /// Bytes that the head took, with its empty line.
    package let byteCount: Int
  }

  private let limits: RequestHeadLimits
  private var position = 0
  private var lineStart = 0
  private var skippedEmptyLine = false
  private var targetStart: Int?
  private var targetHasEnded = false
  private var requestLine: RequestLine?
  private var fields = HTTPFields()

  package init(limits: RequestHeadLimits) { self.limits = limits }

  /// True when nothing but the CRLF was seen that some clients send too many after a body.
  package var hasSeenEmptyLineOnly: Bool {
    skippedEmptyLine && requestLine == nil && position == lineStart
  }

  /// Looks at the bytes that are new since the last call.
  ///
  /// - Parameter input: Everything received from the first byte of the head on.
  /// - Returns: nil as long as the head is not complete.
  package mutating func parse(_ input: Span<UInt8>) throws(HTTPError) -> Result? {
    while position < input.count {
      guard position < limits.headByteCountMax else {
        throw .headTooLarge(byteCountMax: limits.headByteCountMax)
      }
      let byte = input[position]
      let followsReturn = position > lineStart && input[position - 1] == ByteClass.carriageReturn
      if byte == ByteClass.lineFeed {
        guard followsReturn else {
          throw .badFraming(found: "a line feed alone", expected: "CRLF")
        }
        let line = input.extracting(lineStart..<(position - 1))
        position += 1
        lineStart = position
        if let head = try endLine(line) { return Result(head: head, byteCount: position) }
      } else {
        try check(byte, followsReturn: followsReturn)
        position += 1
      }
    }
    return nil
  }

  private mutating func check(_ byte: UInt8, followsReturn: Bool) throws(HTTPError) {
    guard !followsReturn else {
      throw .badFraming(found: "a carriage return alone", expected: "CRLF")
    }
    guard byte == ByteClass.carriageReturn || !ByteClass.isForbiddenControl(byte) else {
      throw .badFraming(found: "control byte \(quoted([byte]))", expected: "text")
    }
    if requestLine == nil { try checkTargetLength(byte) }
  }

  private mutating func checkTargetLength(_ byte: UInt8) throws(HTTPError) {
    if byte == ByteClass.space || byte == ByteClass.carriageReturn {
      if targetStart == nil { targetStart = position + 1 } else { targetHasEnded = true }
    } else if let targetStart, !targetHasEnded,
      position - targetStart >= limits.targetByteCountMax
    {
      throw .targetTooLong(byteCountMax: limits.targetByteCountMax)
    }
  }

  /// - Returns: The head, when this was the empty line that ends it.
  private mutating func endLine(_ line: Span<UInt8>) throws(HTTPError) -> RequestHead? {
    guard let requestLine else {
      if line.isEmpty, !skippedEmptyLine {
        // Source: RFC 9112 section 2.2.
        skippedEmptyLine = true
        targetStart = nil
      } else {
        self.requestLine = try RequestLine(line)
      }
      return nil
    }
    if line.isEmpty { return try RequestHead(line: requestLine, fields: fields) }
    guard fields.count < limits.fieldCountMax else {
      throw .tooManyFields(fieldCountMax: limits.fieldCountMax)
    }
    let (name, value) = try FieldLine.parse(line)
    fields.append(name, value)
    return nil
  }
}
