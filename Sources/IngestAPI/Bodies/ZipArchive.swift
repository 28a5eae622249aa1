// A strict reader of zip archives, as far as npz needs them. Members' contents:
// ZipArchive+Contents.swift.

/// The members of a zip archive that lies in a body.
///
/// The central directory is the truth; every local header must agree with it, no two members may
/// share a byte, and nothing may lie between the directory and the end record. What two readers
/// could read differently is refused.
///
/// Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.6 to 4.5.3; the offsets are those of its tables.
struct ZipArchive {
  let body: BodyBytes
  private(set) var members: [ZipMember] = []

  init(_ body: BodyBytes, memberCountMax: Int) throws(BodyError) {
    self.body = body
    let directory = try ZipDirectory(body)
    guard directory.memberCount <= UInt64(memberCountMax) else {
      throw .tooManyMembers(found: Int(clamping: directory.memberCount), max: memberCountMax)
    }
    var position = directory.offset
    for _ in 0..<directory.memberCount {
      var member = try ZipMember(body, at: &position, end: directory.end)
      try member.locateData(in: body, end: directory.offset)
      if members.contains(where: { $0.name == member.name }) {
        throw .duplicateMember(name: member.shownName)
      }
      members.append(member)
    }
    guard position == directory.end else {
      throw .brokenZip(reason: "the directory has bytes behind its last member")
    }
    try checkOverlaps()
  }

  private func checkOverlaps() throws(BodyError) {
    var end = 0
    for member in members.sorted(by: { $0.extent.lowerBound < $1.extent.lowerBound }) {
      guard member.extent.lowerBound >= end else {
        throw .brokenZip(reason: "\(member.shownName) overlaps another member")
      }
      end = member.extent.upperBound
    }
  }
}

/// Where the central directory lies.
private struct ZipDirectory {
  let offset: Int
  let end: Int
  let memberCount: UInt64

  private static let endRecordByteCount = 22
  private static let zip64RecordByteCount = 56
  private static let zip64LocatorByteCount = 20

  init(_ body: BodyBytes) throws(BodyError) {
    guard let record = Self.endRecordOffset(in: body) else {
      throw .brokenZip(reason: "there is no end of central directory: it was cut, or is no zip")
    }
    var fields = try Self.fields(of: record, in: body)
    var end = record
    if body.integer(UInt32.self, at: record - Self.zip64LocatorByteCount) == 0x0706_4B50 {
      let locator = record - Self.zip64LocatorByteCount
      end = try Self.zip64Record(at: locator, in: body)
      fields = try Self.zip64Fields(of: end, locator: locator, in: body, narrow: fields)
    }
    guard let offset = Int(exactly: fields.offset), let byteCount = Int(exactly: fields.byteCount),
      byteCount <= end, offset == end - byteCount
    else {
      throw .brokenZip(reason: "the directory is not where the end record says")
    }
    self.offset = offset
    self.end = end
    memberCount = fields.memberCount
  }

  private struct Fields {
    var memberCount: UInt64
    var byteCount: UInt64
    var offset: UInt64
  }

  /// The end record, searched from the end, whose comment reaches exactly to the end of the body.
  private static func endRecordOffset(in body: BodyBytes) -> Int? {
    let last = body.count - endRecordByteCount
    guard last >= 0 else { return nil }
    for offset in stride(from: last, through: max(0, last - 0xFFFF), by: -1)
    where body.integer(UInt32.self, at: offset) == 0x0605_4B50 {
      if Int(body.integer(UInt16.self, at: offset + 20) ?? 0) == last - offset { return offset }
    }
    return nil
  }

  private static func fields(of record: Int, in body: BodyBytes) throws(BodyError) -> Fields {
    guard let disk = body.integer(UInt32.self, at: record + 4),
      let here = body.integer(UInt16.self, at: record + 8),
      let total = body.integer(UInt16.self, at: record + 10),
      let byteCount = body.integer(UInt32.self, at: record + 12),
      let offset = body.integer(UInt32.self, at: record + 16)
    else { throw .brokenZip(reason: "the end record is cut") }
    guard disk == 0 || disk == .max, here == total else {
      throw .unsupportedZip(reason: "several disks")
    }
    return Fields(
      memberCount: UInt64(total), byteCount: UInt64(byteCount), offset: UInt64(offset))
  }

  private static func zip64Record(at locator: Int, in body: BodyBytes) throws(BodyError) -> Int {
    guard body.integer(UInt32.self, at: locator + 4) == 0,
      body.integer(UInt32.self, at: locator + 16) == 1
    else { throw .unsupportedZip(reason: "several disks") }
    guard let offset = body.integer(UInt64.self, at: locator + 8).flatMap(Int.init(exactly:)),
      offset <= locator - zip64RecordByteCount,
      body.integer(UInt32.self, at: offset) == 0x0606_4B50,
      // The record's own length leaves itself and its signature out.
      body.integer(UInt64.self, at: offset + 4) == UInt64(locator - offset - 12)
    else { throw .brokenZip(reason: "the zip64 end record is not where its locator says") }
    return offset
  }

  /// The wide fields; each narrow one must be full or say the same.
  private static func zip64Fields(
    of record: Int, locator: Int, in body: BodyBytes, narrow: Fields
  ) throws(BodyError) -> Fields {
    guard let disks = body.integer(UInt64.self, at: record + 16),
      let here = body.integer(UInt64.self, at: record + 24),
      let total = body.integer(UInt64.self, at: record + 32),
      let byteCount = body.integer(UInt64.self, at: record + 40),
      let offset = body.integer(UInt64.self, at: record + 48)
    else { throw .brokenZip(reason: "the zip64 end record is cut") }
    guard disks == 0, here == total else { throw .unsupportedZip(reason: "several disks") }
    guard narrow.memberCount == 0xFFFF || narrow.memberCount == total,
      narrow.byteCount == 0xFFFF_FFFF || narrow.byteCount == byteCount,
      narrow.offset == 0xFFFF_FFFF || narrow.offset == offset
    else { throw .brokenZip(reason: "the two end records disagree") }
    return Fields(memberCount: total, byteCount: byteCount, offset: offset)
  }
}
