// NumPy files for answers. Their counterparts for requests: Bodies/NumPyArray.swift, Bodies/ZipArchive.swift.

internal import ShardStore
internal import SystemIO

/// Arrays as `numpy.save` writes them.
enum NumPyFile {
  /// Shape (dimension,).
  static func vector(_ bytes: [UInt8], dtype: Dtype) -> [UInt8] {
    header(descr: dtype.rawValue, shape: "(\(bytes.count / dtype.byteCount),)") + bytes
  }

  /// Of an array of shape (rowCount, dimension).
  static func header(dtype: Dtype, rowCount: Int, dimension: Int) -> [UInt8] {
    header(descr: dtype.rawValue, shape: "(\(rowCount), \(dimension))")
  }

  /// Of the headers made here: dtype and shape stay far below 60 bytes.
  static let headerByteCountMax = 128

  /// Version 1.0, padded so that the data starts at a multiple of 64. Source: numpy.lib.format.
  fileprivate static func header(descr: String, shape: String) -> [UInt8] {
    let text = "{'descr': '\(descr)', 'fortran_order': False, 'shape': \(shape), }"
    let byteCount = (10 + text.utf8.count + 1 + 63) / 64 * 64
    var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8)
    bytes += [1, 0, UInt8(byteCount - 10), UInt8((byteCount - 10) >> 8)]
    bytes += text.utf8
    bytes += repeatElement(UInt8(ascii: " "), count: byteCount - 1 - bytes.count)
    bytes.append(UInt8(ascii: "\n"))
    return bytes
  }
}

/// An array of Unicode strings, shape (count,): first measured, then made.
struct NumPyStrings {
  private var count = 0
  /// Unicode scalars of the longest.
  private var width = 1

  mutating func add(_ text: ArraySlice<UInt8>) {
    count += 1
    // Bytes that do not go on with a scalar begin one.
    width = max(width, text.count(where: { $0 & 0xC0 != 0x80 }))
  }

  var byteCountMax: Int { NumPyFile.headerByteCountMax + count * width * 4 }

  /// - Parameter texts: those that were added.
  func append(_ texts: some Sequence<ArraySlice<UInt8>>, to file: inout [UInt8]) {
    file += NumPyFile.header(descr: "<U\(width)", shape: "(\(count),)")
    for text in texts {
      let end = file.count + width * 4
      for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
        for shift in stride(from: UInt32(0), to: 32, by: 8) {
          file.append(UInt8(truncatingIfNeeded: scalar.value >> shift))
        }
      }
      file += repeatElement(0, count: end - file.count)
    }
  }
}

/// A zip archive of stored members, as `numpy.savez` makes it. Source: PKWARE's APPNOTE.TXT, section 4.3.
struct StoredZip {
  private var bytes: [UInt8] = []
  private var directory: [UInt8] = []
  private var memberCount = 0

  /// - Parameter byteCount: What the archive will have, about.
  init(byteCount: Int) { bytes.reserveCapacity(byteCount) }

  /// Of all that is not content, with up to three members and short names.
  static let frameByteCountMax = 512
  /// Of a member's header, without its name.
  private static let headerByteCount = 30

  /// Adds a member whose content `write` appends. All of them together stay below 4 GiB.
  mutating func add<Failure>(
    _ name: String, _ write: (inout [UInt8]) throws(Failure) -> Void
  ) throws(Failure) {
    let offset = bytes.count
    let start = offset + Self.headerByteCount + name.utf8.count
    bytes += repeatElement(0, count: start - offset)
    try write(&bytes)
    precondition(bytes.count <= UInt32.max, "an archive without the fields of ZIP64")
    let checksum = unsafe bytes.withUnsafeBytes {
      unsafe ZipCRC32.of(UnsafeRawBufferPointer(rebasing: $0[start...]))
    }
    let byteCount = bytes.count - start
    // Version 2.0, no flags, stored, midnight of 1 January 1980.
    var fields = Self.little(20, 2) + Self.little(0, 2) + Self.little(0, 2)
    fields += Self.little(0, 2) + Self.little(0x21, 2) + Self.little(Int(checksum), 4)
    fields += Self.little(byteCount, 4) + Self.little(byteCount, 4)
    fields += Self.little(name.utf8.count, 2) + Self.little(0, 2)
    bytes.replaceSubrange(
      offset..<start, with: Self.little(0x0403_4B50, 4) + fields + Array(name.utf8))
    directory += Self.little(0x0201_4B50, 4) + Self.little(20, 2) + fields
    directory += Self.little(0, 2) + Self.little(0, 2) + Self.little(0, 2) + Self.little(0, 4)
    directory += Self.little(offset, 4) + Array(name.utf8)
    memberCount += 1
  }

  consuming func finish() -> [UInt8] {
    let start = bytes.count
    bytes += directory
    bytes += Self.little(0x0605_4B50, 4) + Self.little(0, 2) + Self.little(0, 2)
    bytes += Self.little(memberCount, 2) + Self.little(memberCount, 2)
    bytes += Self.little(directory.count, 4) + Self.little(start, 4) + Self.little(0, 2)
    return bytes
  }

  private static func little(_ value: Int, _ byteCount: Int) -> [UInt8] {
    (0..<byteCount).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
}
