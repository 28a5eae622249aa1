// npy and npz bodies, laid out as NumPy's save and savez do.

internal import ShardStore
internal import SystemIO

extension BenchBody {
  static func npy(_ rows: [Float], _ shape: BenchShape) -> ([UInt8], IDPlaces) {
    (embeddingsFile(rows, shape), .header)
  }

  static func npz(_ rows: [Float], _ shape: BenchShape) -> ([UInt8], IDPlaces) {
    let header = idsHeader(rowCount: shape.rowCount)
    var zip = StoredZip()
    let ids = zip.add(
      name: "ids.npy", content: header + [UInt8](repeating: 0, count: shape.rowCount * 8))
    _ = zip.add(name: "embeddings.npy", content: embeddingsFile(rows, shape))
    zip.finish()
    let places = IDPlaces.integers(
      offset: ids.content.lowerBound + header.count, member: ids.content,
      checksums: zip.checksumOffsets(of: ids))
    return (zip.bytes, places)
  }

  private static func embeddingsFile(_ rows: [Float], _ shape: BenchShape) -> [UInt8] {
    var file = NumPyHeader.canonical(
      rowCount: shape.rowCount, dimension: shape.dimension, dtype: .float32)
    unsafe rows.withUnsafeBytes { unsafe file.append(contentsOf: $0) }
    return file
  }

  /// Source: numpy.lib.format, version 1.0: the header ends on a multiple of 64 bytes.
  private static func idsHeader(rowCount: Int) -> [UInt8] {
    let dictionary = "{'descr': '<i8', 'fortran_order': False, 'shape': (\(rowCount),), }"
    let byteCount = (10 + dictionary.utf8.count + 1 + 63) / 64 * 64
    var header: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0]
    header.appendInteger(UInt16(byteCount - 10))
    header.append(contentsOf: dictionary.utf8)
    header.append(contentsOf: repeatElement(UInt8(ascii: " "), count: byteCount - 1 - header.count))
    header.append(UInt8(ascii: "\n"))
    return header
  }
}

/// Writes a zip archive whose members are stored as they are.
///
/// Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.
private struct StoredZip {
  struct Member {
    let name: String
    let headerOffset: Int
    let content: Range<Int>
    let crc32: UInt32
    fileprivate(set) var directoryOffset = 0
  }

  private(set) var bytes: [UInt8] = []
  private var members: [Member] = []

  mutating func add(name: String, content: [UInt8]) -> Member {
    let headerOffset = bytes.count
    let crc32 = unsafe content.withUnsafeBytes { ZipCRC32.of($0) }
    bytes.appendInteger(UInt32(0x0403_4B50))
    appendCommonFields(name: name, byteCount: content.count, crc32: crc32)
    bytes.append(contentsOf: name.utf8)
    let start = bytes.count
    bytes.append(contentsOf: content)
    let member = Member(
      name: name, headerOffset: headerOffset, content: start..<bytes.count, crc32: crc32)
    members.append(member)
    return member
  }

  mutating func finish() {
    let directoryOffset = bytes.count
    for index in members.indices {
      let member = members[index]
      members[index].directoryOffset = bytes.count
      bytes.appendInteger(UInt32(0x0201_4B50))
      bytes.appendInteger(Self.version)
      appendCommonFields(name: member.name, byteCount: member.content.count, crc32: member.crc32)
      // Comment length, disk and attributes are zero.
      bytes.append(contentsOf: repeatElement(0, count: 10))
      bytes.appendInteger(UInt32(member.headerOffset))
      bytes.append(contentsOf: member.name.utf8)
    }
    let directoryByteCount = bytes.count - directoryOffset
    bytes.appendInteger(UInt32(0x0605_4B50))
    bytes.appendInteger(UInt32(0))
    bytes.appendInteger(UInt16(members.count))
    bytes.appendInteger(UInt16(members.count))
    bytes.appendInteger(UInt32(directoryByteCount))
    bytes.appendInteger(UInt32(directoryOffset))
    bytes.appendInteger(UInt16(0))
  }

  /// Where the CRC-32 of a member stands, once the archive is finished: its own header and the directory.
  func checksumOffsets(of member: Member) -> [Int] {
    members.filter { $0.headerOffset == member.headerOffset }
      .flatMap { [$0.headerOffset + 14, $0.directoryOffset + 16] }
  }

  private static let version: UInt16 = 20

  /// From the version needed to the length of the extra field: the same in both headers.
  private mutating func appendCommonFields(name: String, byteCount: Int, crc32: UInt32) {
    bytes.appendInteger(Self.version)
    // No flags, method "stored".
    bytes.appendInteger(UInt32(0))
    // 1980-01-01 00:00.
    bytes.appendInteger(UInt32(0x0021_0000))
    bytes.appendInteger(crc32)
    bytes.appendInteger(UInt32(byteCount))
    bytes.appendInteger(UInt32(byteCount))
    bytes.appendInteger(UInt16(name.utf8.count))
    bytes.appendInteger(UInt16(0))
  }
}

extension [UInt8] {
  /// Little-endian.
  fileprivate mutating func appendInteger<Number: FixedWidthInteger>(_ number: Number) {
    unsafe Swift.withUnsafeBytes(of: number.littleEndian) { unsafe append(contentsOf: $0) }
  }
}
