// One header or trailer line. Source: RFC 9112 section 5.

enum FieldLine {
  /// - Parameter line: The line without its CRLF, free of control bytes except the tab.
  static func parse(_ line: Span<UInt8>) throws(HTTPError) -> (name: String, value: String) {
    guard line.count > 0, !ByteClass.isBlank(line[0]) else {
      throw .badFraming(
        found: "a line that starts with white space", expected: "a field name; folding is obsolete")
    }
    var colon = 0
    while colon < line.count, ByteClass.isToken(line[colon]) { colon += 1 }
    guard colon > 0, colon < line.count, line[colon] == ByteClass.colon else {
      throw .badField(found: quoted(line.copied), expected: "a token, then at once a colon")
    }
    let value = line.extracting((colon + 1)..<line.count)
    return (line.extracting(0..<colon).text, value.extracting(value.trimmedRange()).text)
  }
}
