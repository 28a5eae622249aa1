// One member of a zip archive: its directory entry, and its local header checked against it.

/// Where a member's bytes are and what they must be.
struct ZipMember {
  let name: [UInt8]
  let isDeflated: Bool
  let crc32: UInt32
  /// Bytes in the archive.
  let storedByteCount: Int
  /// Bytes once inflated.
  let byteCount: Int
  private let flags: UInt16
  private let headerOffset: Int
  /// Where the bytes start; known once ``locateData(in:end:)`` has checked the local header.
  private(set) var dataOffset = 0
  /// Local header, bytes and data descriptor.
  private(set) var extent = 0..<0

  /// The name for messages.
  var shownName: String { String(decoding: name.prefix(80), as: UTF8.self) }

  /// General purpose bits that change nothing here: deflate's level, data descriptor, UTF-8 names.
  private static let harmlessFlags: UInt16 = 0b1000_0000_1110
  private static let encryptedFlags: UInt16 = 0b0010_0000_0100_0001
  private static let descriptorFlag: UInt16 = 0b1000

  /// Reads the directory entry at `position` and moves behind it.
  init(_ body: BodyBytes, at position: inout Int, end: Int) throws(BodyError) {
    guard end - position >= 46, body.integer(UInt32.self, at: position) == 0x0201_4B50,
      let flags = body.integer(UInt16.self, at: position + 8),
      let method = body.integer(UInt16.self, at: position + 10),
      let crc32 = body.integer(UInt32.self, at: position + 16),
      let nameByteCount = body.integer(UInt16.self, at: position + 28).map(Int.init),
      let extraByteCount = body.integer(UInt16.self, at: position + 30).map(Int.init),
      let commentByteCount = body.integer(UInt16.self, at: position + 32).map(Int.init),
      let disk = body.integer(UInt16.self, at: position + 34)
    else { throw .brokenZip(reason: "the directory is cut or has a wrong entry") }
    let entryByteCount = 46 + nameByteCount + extraByteCount + commentByteCount
    guard entryByteCount <= end - position,
      let name = body.slice(at: position + 46, byteCount: nameByteCount),
      let extra = body.slice(at: position + 46 + nameByteCount, byteCount: extraByteCount)
    else { throw .brokenZip(reason: "the directory is cut") }
    guard flags & Self.encryptedFlags == 0 else {
      throw .unsupportedZip(reason: "encryption")
    }
    guard flags & ~Self.harmlessFlags == 0 else { throw .unsupportedZip(reason: "flags \(flags)") }
    guard method == 0 || method == 8 else {
      throw .unsupportedZip(reason: "compression method \(method)")
    }
    var wide = try Zip64Extra(extra)
    let byteCount = try wide.widen(body.integer(UInt32.self, at: position + 24))
    let storedByteCount = try wide.widen(body.integer(UInt32.self, at: position + 20))
    let headerOffset = try wide.widen(body.integer(UInt32.self, at: position + 42))
    guard disk == 0 || disk == .max else { throw .unsupportedZip(reason: "several disks") }
    self.name = unsafe Array(name.buffer)
    self.flags = flags
    isDeflated = method == 8
    self.crc32 = crc32
    self.byteCount = byteCount
    self.storedByteCount = storedByteCount
    self.headerOffset = headerOffset
    guard isDeflated || byteCount == storedByteCount else {
      throw .brokenZip(reason: "\(shownName) is stored and has two lengths")
    }
    position += entryByteCount
  }

  /// Checks the local header against the entry and finds the bytes.
  ///
  /// - Parameter end: Where the directory starts; no member may reach into it.
  mutating func locateData(in body: BodyBytes, end: Int) throws(BodyError) {
    guard headerOffset <= end - 30, body.integer(UInt32.self, at: headerOffset) == 0x0403_4B50,
      let nameByteCount = body.integer(UInt16.self, at: headerOffset + 26).map(Int.init),
      let extraByteCount = body.integer(UInt16.self, at: headerOffset + 28).map(Int.init),
      let extra = body.slice(at: headerOffset + 30 + nameByteCount, byteCount: extraByteCount)
    else { throw .brokenZip(reason: "\(shownName) is not where the directory says") }
    try checkLocalHeader(in: body, nameByteCount: nameByteCount, extra: extra)
    dataOffset = headerOffset + 30 + nameByteCount + extraByteCount
    guard dataOffset <= end, storedByteCount <= end - dataOffset else {
      throw .truncatedMember(
        member: shownName, expected: storedByteCount, found: max(0, end - dataOffset))
    }
    var dataEnd = dataOffset + storedByteCount
    if flags & Self.descriptorFlag != 0 {
      dataEnd += try descriptorByteCount(in: body, at: dataEnd)
    }
    guard dataEnd <= end else { throw .brokenZip(reason: "\(shownName) runs into the directory") }
    extent = headerOffset..<dataEnd
  }

  private func checkLocalHeader(
    in body: BodyBytes, nameByteCount: Int, extra: BodyBytes
  ) throws(BodyError) {
    guard nameByteCount == name.count, body.hasBytes(name, at: headerOffset + 30),
      body.integer(UInt16.self, at: headerOffset + 6) == flags,
      body.integer(UInt16.self, at: headerOffset + 8) == (isDeflated ? 8 : 0)
    else { throw disagreement }
    var wide = try Zip64Extra(extra)
    let localCRC32 = body.integer(UInt32.self, at: headerOffset + 14)
    let localByteCount = try wide.widen(body.integer(UInt32.self, at: headerOffset + 22))
    let localStoredByteCount = try wide.widen(body.integer(UInt32.self, at: headerOffset + 18))
    // A writer that streams does not know these yet and leaves them at zero.
    let mayBeZero = flags & Self.descriptorFlag != 0
    guard localCRC32 == crc32 || (mayBeZero && localCRC32 == 0),
      localByteCount == byteCount || (mayBeZero && localByteCount == 0),
      localStoredByteCount == storedByteCount || (mayBeZero && localStoredByteCount == 0)
    else { throw disagreement }
  }

  private var disagreement: BodyError {
    .brokenZip(reason: "\(shownName)'s own header disagrees with the directory")
  }

  /// The length of the data descriptor at `offset`, which has four forms: with a signature or
  /// without, with lengths of 4 bytes or 8.
  private func descriptorByteCount(in body: BodyBytes, at offset: Int) throws(BodyError) -> Int {
    for start in [offset + 4, offset] {
      if start > offset, body.integer(UInt32.self, at: offset) != 0x0807_4B50 { continue }
      guard body.integer(UInt32.self, at: start) == crc32 else { continue }
      if body.integer(UInt64.self, at: start + 4) == UInt64(storedByteCount),
        body.integer(UInt64.self, at: start + 12) == UInt64(byteCount)
      {
        return start + 20 - offset
      }
      if body.integer(UInt32.self, at: start + 4).map(Int.init) == storedByteCount,
        body.integer(UInt32.self, at: start + 8).map(Int.init) == byteCount
      {
        return start + 12 - offset
      }
    }
    throw .brokenZip(reason: "\(shownName)'s data descriptor disagrees with the directory")
  }
}

/// The extra field that carries what does not fit into 32 bits.
private struct Zip64Extra {
  private var values: BodyBytes?
  private var position = 0

  /// - Parameter extra: All extra fields of a header.
  init(_ extra: BodyBytes) throws(BodyError) {
    var offset = 0
    while offset < extra.count {
      guard let tag = extra.integer(UInt16.self, at: offset),
        let byteCount = extra.integer(UInt16.self, at: offset + 2).map(Int.init),
        let content = extra.slice(at: offset + 4, byteCount: byteCount)
      else { throw .brokenZip(reason: "an extra field is cut") }
      if tag == 1 {
        guard values == nil else { throw .brokenZip(reason: "two zip64 fields in one header") }
        values = content
      }
      offset += 4 + byteCount
    }
  }

  /// The next wide value when the narrow one is full; otherwise the narrow one.
  mutating func widen(_ narrow: UInt32?) throws(BodyError) -> Int {
    guard let narrow else { throw .brokenZip(reason: "a header is cut") }
    guard narrow == .max, let values else { return Int(narrow) }
    guard let wide = values.integer(UInt64.self, at: position).flatMap(Int.init(exactly:)) else {
      throw .brokenZip(reason: "a zip64 field is cut or too large")
    }
    position += 8
    return wide
  }
}
