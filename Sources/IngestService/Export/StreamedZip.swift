// A zip archive of stored members whose lengths are known only at their ends, as np.load reads it.
// Source: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3. Archives in memory: IngestAPI/NumPyFile.swift.

internal import SystemIO

/// Members one after the other; always in the zip64 form, since they may be longer than 4 GiB.
struct StreamedZip {
  private struct Member {
    let name: String
    let offset: Int
    var byteCount = 0
    var crc32: UInt32 = 0
  }

  private var members: [Member] = []
  /// Bytes of the archive so far.
  private var byteCount = 0

  /// The local header of a member.
  mutating func begin(_ name: String) -> [UInt8] {
    members.append(Member(name: name, offset: byteCount))
    // Version 4.5; bit 3: checksum and lengths follow the data; stored; midnight of 1 January 1980.
    var bytes = little(0x0403_4B50, 4) + little(45, 2) + little(8, 2) + little(0, 2)
    bytes += little(0, 2) + little(0x21, 2) + little(0, 4) + little(0xFFFF_FFFF, 4)
    bytes += little(0xFFFF_FFFF, 4) + little(name.utf8.count, 2) + little(20, 2)
    bytes += Array(name.utf8) + little(1, 2) + little(16, 2) + little(0, 8) + little(0, 8)
    byteCount += bytes.count
    return bytes
  }

  /// Counts bytes of the member that was begun.
  @safe
  mutating func count(_ bytes: UnsafeRawBufferPointer) {
    let last = members.count - 1
    members[last].byteCount += bytes.count
    members[last].crc32 = ZipCRC32.of(bytes, continuing: members[last].crc32)
    byteCount += bytes.count
  }

  /// Checksum and lengths of the member that was begun.
  mutating func end() -> [UInt8] {
    let member = members[members.count - 1]
    let bytes =
      little(0x0807_4B50, 4) + little(Int(member.crc32), 4) + little(member.byteCount, 8)
      + little(member.byteCount, 8)
    byteCount += bytes.count
    return bytes
  }

  /// The central directory, and its end.
  func finish() -> [UInt8] {
    var bytes: [UInt8] = []
    for member in members {
      bytes += little(0x0201_4B50, 4) + little(45, 2) + little(45, 2) + little(8, 2)
      bytes += little(0, 2) + little(0, 2) + little(0x21, 2) + little(Int(member.crc32), 4)
      bytes += little(0xFFFF_FFFF, 4) + little(0xFFFF_FFFF, 4)
      bytes += little(member.name.utf8.count, 2) + little(28, 2) + little(0, 2) + little(0, 2)
      bytes += little(0, 2) + little(0, 4) + little(0xFFFF_FFFF, 4) + Array(member.name.utf8)
      bytes += little(1, 2) + little(24, 2) + little(member.byteCount, 8)
      bytes += little(member.byteCount, 8) + little(member.offset, 8)
    }
    let directoryByteCount = bytes.count
    let end = byteCount + directoryByteCount
    bytes += little(0x0606_4B50, 4) + little(44, 8) + little(45, 2) + little(45, 2) + little(0, 4)
    bytes += little(0, 4) + little(members.count, 8) + little(members.count, 8)
    bytes += little(directoryByteCount, 8) + little(byteCount, 8)
    bytes += little(0x0706_4B50, 4) + little(0, 4) + little(end, 8) + little(1, 4)
    bytes += little(0x0605_4B50, 4) + little(0, 2) + little(0, 2) + little(0xFFFF, 2)
    bytes += little(0xFFFF, 2) + little(0xFFFF_FFFF, 4) + little(0xFFFF_FFFF, 4) + little(0, 2)
    return bytes
  }

  private func little(_ value: Int, _ byteCount: Int) -> [UInt8] {
    ExportFormat.little(value, byteCount)
  }
}
