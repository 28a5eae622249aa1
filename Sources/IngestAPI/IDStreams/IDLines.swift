// One id per line, as it is or as JSON. Part of IDStream.swift.

internal import ShardStore

/// Lines that end with a line feed, or with carriage return and line feed; empty ones are nothing, and
/// neither is a byte order mark before the first.
struct IDLines: IDStreamParser {
  /// Each line is a JSON string, an integer, or `{"id": …}`.
  let areJSON: Bool
  private var lineCount = 0

  init(areJSON: Bool) { self.areJSON = areJSON }

  mutating func parse(
    _ bytes: [UInt8], isAtEnd: Bool, into ids: inout IDCollector
  ) throws(BodyError) -> Int {
    var start = 0
    while start < bytes.count {
      let newline = bytes[start...].firstIndex(of: 0x0A)
      guard let end = newline ?? (isAtEnd ? bytes.count : nil) else { break }
      let hasReturn = end > start && bytes[end - 1] == 0x0D
      var line = bytes[start..<(hasReturn ? end - 1 : end)]
      if lineCount == 0, line.starts(with: IDList.byteOrderMark) {
        line = line.dropFirst(IDList.byteOrderMark.count)
      }
      try take(line, into: &ids)
      lineCount += 1
      start = newline.map { $0 + 1 } ?? end
    }
    return start
  }

  private func take(_ line: ArraySlice<UInt8>, into ids: inout IDCollector) throws(BodyError) {
    guard !line.isEmpty else { return }
    guard areJSON else {
      ids.append(line)
      return
    }
    guard let id = JSONID.parse(line) else {
      throw .badJSONShape(
        reason: #"expected a string, an integer or {"id": …} on each line"#,
        JSONPlace(line: lineCount + 1, row: ids.count))
    }
    ids.append(id)
  }
}
