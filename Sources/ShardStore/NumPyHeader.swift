// The header of NumPy's .npy files: a strict parser, and the one form that shards are written with.

/// What a `.npy` file says about its array, before the array's bytes.
///
/// Source: NumPy, "A simple file format for NumPy arrays" (numpy.lib.format), versions 1.0 to 3.0.
package struct NumPyHeader: Equatable, Sendable {
  /// The type of one element in NumPy's notation, such as `<f4`; not interpreted here.
  package let descr: String
  /// True when the first index varies fastest.
  package let fortranOrder: Bool
  /// Elements along each axis; empty for a single value.
  package let shape: [Int]
  /// Where the array's bytes start.
  package let byteCount: Int

  /// The length of every header that ``canonical(rowCount:dimension:dtype:)`` writes.
  package static let canonicalByteCount = 128
  /// Longer dictionaries are refused, as `np.load` does.
  package static let dictionaryByteCountMax = 10_000
  /// More axes are refused, as NumPy does.
  package static let axisCountMax = 64

  /// The product of the shape; `nil` when it does not fit.
  package var elementCount: Int? {
    var product = 1
    for length in shape {
      let (next, overflow) = product.multipliedReportingOverflow(by: length)
      if overflow { return nil }
      product = next
    }
    return product
  }
}

/// Why bytes are not a header that can be read.
package enum NumPyHeaderError: Error, Equatable, Sendable {
  /// The bytes do not start with `\x93NUMPY`.
  case notNumPy
  case unsupportedVersion(major: Int, minor: Int)
  /// The bytes end inside the header, which needs `needed` of them.
  case truncated(needed: Int, found: Int)
  case dictionaryTooLong(byteCount: Int, max: Int)
  /// The dictionary breaks its grammar `offset` bytes behind the start of the file.
  case malformed(offset: Int, expected: String)
  case repeatedKey(String)
  case missingKey(String)
  /// `descr` is a list of fields; records are not vectors.
  case structured
}

extension NumPyHeaderError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .notNumPy: "the bytes do not start with \\x93NUMPY"
    case .unsupportedVersion(let major, let minor):
      "format version \(major).\(minor) is not 1.0, 2.0 or 3.0"
    case .truncated(let needed, let found):
      "the header needs \(needed) bytes and \(found) are there"
    case .dictionaryTooLong(let byteCount, let max):
      "the header dictionary has \(byteCount) bytes; at most \(max) are read"
    case .malformed(let offset, let expected):
      "the header dictionary is malformed at byte \(offset): expected \(expected)"
    case .repeatedKey(let key): "the header dictionary has '\(key)' twice"
    case .missingKey(let key): "the header dictionary lacks '\(key)'"
    case .structured: "the array has a structured dtype"
    }
  }
}

extension NumPyHeader {
  /// Reads the header at the start of `bytes`; what follows it is not looked at.
  @safe
  package static func parse(
    _ bytes: UnsafeRawBufferPointer
  ) throws(NumPyHeaderError) -> NumPyHeader {
    let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
    for (index, byte) in magic.enumerated() {
      guard index < bytes.count else { throw .truncated(needed: 10, found: bytes.count) }
      guard unsafe bytes[index] == byte else { throw .notNumPy }
    }
    guard bytes.count >= 10 else { throw .truncated(needed: 10, found: bytes.count) }
    let (major, minor) = unsafe (Int(bytes[6]), Int(bytes[7]))
    guard (1...3).contains(major), minor == 0 else {
      throw .unsupportedVersion(major: major, minor: minor)
    }
    let lengthByteCount = major == 1 ? 2 : 4
    let start = 8 + lengthByteCount
    guard bytes.count >= start else { throw .truncated(needed: start, found: bytes.count) }
    var length = 0
    for index in (8..<start).reversed() { length = unsafe length << 8 | Int(bytes[index]) }
    guard length <= dictionaryByteCountMax else {
      throw .dictionaryTooLong(byteCount: length, max: dictionaryByteCountMax)
    }
    guard bytes.count - start >= length else {
      throw .truncated(needed: start + length, found: bytes.count)
    }
    let dictionary = unsafe [UInt8](bytes[start..<(start + length)])
    var parser = DictionaryParser(bytes: dictionary, firstOffset: start)
    return try parser.header()
  }
}

extension NumPyHeader {
  /// The header of `count` texts of `width` Unicode scalars each, padded as `np.save` does.
  package static func text(count: Int, width: Int) -> [UInt8] {
    let dictionary = "{'descr': '<U\(width)', 'fortran_order': False, 'shape': (\(count),), }"
    let byteCount = (10 + dictionary.utf8.count + 1 + 63) / 64 * 64
    var bytes: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0]
    bytes += [UInt8(truncatingIfNeeded: byteCount - 10), UInt8((byteCount - 10) >> 8)]
    bytes += dictionary.utf8
    bytes += repeatElement(UInt8(ascii: " "), count: byteCount - 1 - bytes.count)
    bytes.append(UInt8(ascii: "\n"))
    return bytes
  }

  /// The header of a C-ordered rowCount × dimension array, byte for byte as `np.save` writes it.
  ///
  /// - Returns: Exactly ``canonicalByteCount`` bytes, version 1.0.
  package static func canonical(rowCount: Int, dimension: Int, dtype: Dtype) -> [UInt8] {
    precondition(rowCount >= 0 && dimension >= 0)
    let shape = "(\(rowCount), \(dimension))"
    let dictionary =
      "{'descr': '\(dtype.rawValue)', 'fortran_order': False, 'shape': \(shape), }"
    let dictionaryByteCount = canonicalByteCount - 10
    var bytes: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0]
    bytes.append(UInt8(dictionaryByteCount))
    bytes.append(0)
    bytes.append(contentsOf: dictionary.utf8)
    let padding = canonicalByteCount - 1 - bytes.count
    precondition(padding >= 0)
    bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: padding))
    bytes.append(UInt8(ascii: "\n"))
    return bytes
  }
}

/// Reads the one Python literal that a header is: a dictionary with three known keys, in any order.
private struct DictionaryParser {
  let bytes: [UInt8]
  /// Where `bytes` starts in the file, so that errors can say where they are.
  let firstOffset: Int
  private var position = 0

  init(bytes: [UInt8], firstOffset: Int) {
    self.bytes = bytes
    self.firstOffset = firstOffset
  }

  mutating func header() throws(NumPyHeaderError) -> NumPyHeader {
    var descr: String?
    var fortranOrder: Bool?
    var shape: [Int]?
    try expect("{")
    while !take("}") {
      let key = try quoted()
      try expect(":")
      switch key {
      case "descr":
        guard descr == nil else { throw .repeatedKey(key) }
        descr = try typeDescription()
      case "fortran_order":
        guard fortranOrder == nil else { throw .repeatedKey(key) }
        fortranOrder = try boolean()
      case "shape":
        guard shape == nil else { throw .repeatedKey(key) }
        shape = try tuple()
      default:
        throw malformed("the key 'descr', 'fortran_order' or 'shape'")
      }
      if !take(",") {
        try expect("}")
        break
      }
    }
    skipSpace()
    guard position == bytes.count else { throw malformed("nothing but space behind the }") }
    guard let descr else { throw .missingKey("descr") }
    guard let fortranOrder else { throw .missingKey("fortran_order") }
    guard let shape else { throw .missingKey("shape") }
    return NumPyHeader(
      descr: descr, fortranOrder: fortranOrder, shape: shape, byteCount: firstOffset + bytes.count)
  }

  /// A quoted dtype. A list of fields is named and read no further.
  private mutating func typeDescription() throws(NumPyHeaderError) -> String {
    if take("[") { throw .structured }
    return try quoted()
  }

  private mutating func boolean() throws(NumPyHeaderError) -> Bool {
    if takeWord("True") { return true }
    if takeWord("False") { return false }
    throw malformed("True or False")
  }

  private mutating func tuple() throws(NumPyHeaderError) -> [Int] {
    var lengths: [Int] = []
    try expect("(")
    while !take(")") {
      guard lengths.count < NumPyHeader.axisCountMax else {
        throw malformed("at most \(NumPyHeader.axisCountMax) axes")
      }
      lengths.append(try integer())
      if take(",") { continue }
      // Without its comma, "(3)" is a number in Python and not a tuple.
      guard lengths.count != 1 else { throw malformed("a comma") }
      try expect(")")
      break
    }
    return lengths
  }

  private mutating func integer() throws(NumPyHeaderError) -> Int {
    skipSpace()
    var value = 0
    var digitCount = 0
    while position < bytes.count, (48...57).contains(bytes[position]) {
      let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
      let (next, overflow2) = tens.addingReportingOverflow(Int(bytes[position]) - 48)
      guard !overflow, !overflow2 else { throw malformed("a length below 2^63") }
      value = next
      position += 1
      digitCount += 1
    }
    guard digitCount > 0 else { throw malformed("a length in decimal digits") }
    return value
  }

  /// A Python string without escapes or prefixes.
  private mutating func quoted() throws(NumPyHeaderError) -> String {
    skipSpace()
    guard position < bytes.count, bytes[position] == 0x27 || bytes[position] == 0x22 else {
      throw malformed("a quoted string")
    }
    let quote = bytes[position]
    let start = position + 1
    var end = start
    while end < bytes.count, bytes[end] != quote {
      guard (0x20..<0x7F).contains(bytes[end]), bytes[end] != 0x5C else {
        position = end
        throw malformed("printable ASCII without escapes")
      }
      end += 1
    }
    guard end < bytes.count else { throw malformed("the end of the string") }
    position = end + 1
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  private mutating func skipSpace() {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) {
      position += 1
    }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func takeWord(_ word: StaticString) -> Bool {
    skipSpace()
    let text = Array(word.description.utf8)
    guard bytes[position...].starts(with: text) else { return false }
    position += text.count
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(NumPyHeaderError) {
    if !take(character) { throw malformed("a \(character)") }
  }

  private func malformed(_ expected: String) -> NumPyHeaderError {
    .malformed(offset: firstOffset + position, expected: expected)
  }
}
