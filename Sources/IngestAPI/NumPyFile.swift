// NumPy files for answers. Their counterparts for requests: Bodies/NumPyArray.swift, Bodies/ZipArchive.swift.

internal import ShardStore
internal import SystemIO

/// Arrays as `numpy.save` writes them.
enum NumPyFile {
  /// Shape (dimension,).
  static func vector(_ bytes: [UInt8], dtype: Dtype) -> [UInt8] {
    header(descr: dtype.rawValue, shape: "(\(bytes.count / dtype.byteCount),)") + bytes
  }

  /// Shape (rows.count, dimension).
  static func rows(_ rows: [[UInt8]], dimension: Int, dtype: Dtype) -> [UInt8] {
    var file = header(descr: dtype.rawValue, shape: "(\(rows.count), \(dimension))")
    file.reserveCapacity(file.count + rows.count * dimension * dtype.byteCount)
    for row in rows { file += row }
    return file
  }

  /// Unicode strings, shape (strings.count,).
  static func strings(_ strings: [String]) -> [UInt8] {
    let width = max(1, strings.map(\.unicodeScalars.count).max() ?? 1)
    var file = header(descr: "<U\(width)", shape: "(\(strings.count),)")
    file.reserveCapacity(file.count + strings.count * width * 4)
    for string in strings {
      var count = 0
      for scalar in string.unicodeScalars {
        let value = scalar.value
        file += (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
        count += 1
      }
      file += repeatElement(0, count: (width - count) * 4)
    }
    return file
  }

  /// Version 1.0, padded so that the data starts at a multiple of 64. Source: numpy.lib.format.
  private static func header(descr: String, shape: String) -> [UInt8] {
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

/// A zip archive of stored members, as `numpy.savez` makes it. Source: PKWARE's APPNOTE.TXT, section 4.3.
struct StoredZip {
  private var bytes: [UInt8] = []
  private var directory: [UInt8] = []
  private var memberCount = 0

  /// Adds a member. All of them together stay below 4 GiB.
  mutating func add(_ name: String, _ content: [UInt8]) {
    let checksum = unsafe content.withUnsafeBytes { ZipCRC32.of($0) }
    let offset = bytes.count
    // Version 2.0, no flags, stored, midnight of 1 January 1980.
    var fields = Self.little(20, 2) + Self.little(0, 2) + Self.little(0, 2)
    fields += Self.little(0, 2) + Self.little(0x21, 2) + Self.little(Int(checksum), 4)
    fields += Self.little(content.count, 4) + Self.little(content.count, 4)
    fields += Self.little(name.utf8.count, 2) + Self.little(0, 2)
    bytes += Self.little(0x0403_4B50, 4) + fields + Array(name.utf8) + content
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
