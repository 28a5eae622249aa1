// Ids that come by the million, parsed while they are received. Used by Endpoints/Missing.swift, Delete.swift and Fetch.swift.
// The forms: IDLines.swift, IDArray.swift, NumPyIDs.swift. The ids of a batch: Bodies/IDCollector.swift.

internal import ShardStore

/// One form that ids can come in.
protocol IDStreamParser: Sendable {
  /// Takes the ids that are whole.
  ///
  /// - Parameter isAtEnd: Nothing follows `bytes`; what is not whole now is an error.
  /// - Returns: how many bytes are done with; the others are given again with more behind them.
  mutating func parse(
    _ bytes: [UInt8], isAtEnd: Bool, into ids: inout IDCollector
  ) throws(BodyError) -> Int
}

/// Takes bytes as they come and gives ids; keeps only the beginning of an id whose end has not come.
struct IDStream: Sendable {
  private var parser: any IDStreamParser
  private var pending: [UInt8] = []
  private var collector = IDCollector(expecting: 0)

  /// What is longer without an end is no id in any form, and no header of an array.
  private static let pendingByteCountMax = 16 << 10

  static let mediaTypes = [
    "text/plain", "application/x-ndjson", "application/json", "application/x-npy",
  ]

  /// - Parameter contentType: Without one, and with what curl sends by itself, there is one id per line.
  init(contentType: String?) throws(BodyError) {
    let name = contentType.map { HeaderParameters($0)?.name ?? "" }
    switch name {
    case nil, "text/plain", "application/x-www-form-urlencoded": parser = IDLines(areJSON: false)
    case "application/x-ndjson": parser = IDLines(areJSON: true)
    case "application/json": parser = IDArray()
    case "application/x-npy": parser = NumPyIDs()
    default: throw .unsupportedMediaType(found: contentType ?? "")
    }
  }

  /// A JSON object with the ids as its only member.
  init(inMember member: String) { parser = IDArray(inMember: member) }

  /// Whole ids that were not taken yet.
  var count: Int { collector.keptCount }

  /// The ids that came since the last call. The same id may come again.
  mutating func take() throws(BodyError) -> IDList { try collector.take() }

  /// The same for the last call, without ids that came before.
  mutating func takeEachOnce() throws(BodyError) -> IDList {
    let ids = try take()
    var seen: Set<ArraySlice<UInt8>> = []
    return ids.selecting((0..<ids.count).filter { seen.insert(ids[$0]).inserted })
  }

  @safe
  mutating func append(_ bytes: UnsafeRawBufferPointer) throws(BodyError) {
    unsafe pending.append(contentsOf: bytes)
    try parse(isAtEnd: false)
    guard pending.count <= Self.pendingByteCountMax else {
      var tooLong = Offenders()
      tooLong.add(index: collector.count, id: nil)
      throw .idTooLong(tooLong)
    }
  }

  mutating func finish() throws(BodyError) { try parse(isAtEnd: true) }

  private mutating func parse(isAtEnd: Bool) throws(BodyError) {
    let used = try parser.parse(pending, isAtEnd: isAtEnd, into: &collector)
    pending.removeSubrange(..<used)
  }
}
