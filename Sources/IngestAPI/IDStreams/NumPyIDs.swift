// A one-dimensional array of integers, as numpy.save writes it. Part of IDStream.swift.

internal import ShardStore

struct NumPyIDs: IDStreamParser {
  private struct Array {
    let type: NumPyArray.ElementType
    var restCount: Int
  }

  private var array: Array?

  mutating func parse(
    _ bytes: [UInt8], isAtEnd: Bool, into ids: inout IDCollector
  ) throws(BodyError) -> Int {
    var used = 0
    if array == nil {
      guard let header = try header(bytes, isAtEnd: isAtEnd) else { return 0 }
      array = try Self.array(header)
      used = header.byteCount
    }
    guard var array else { return used }
    while array.restCount > 0, used + array.type.byteCount <= bytes.count {
      ids.append(Self.decimal(bytes[used..<(used + array.type.byteCount)], array.type))
      used += array.type.byteCount
      array.restCount -= 1
    }
    if isAtEnd, array.restCount > 0 {
      let (expected, isTooMany) = array.restCount.multipliedReportingOverflow(
        by: array.type.byteCount)
      throw .truncatedMember(
        member: "ids", expected: isTooMany ? .max : expected, found: bytes.count - used)
    }
    if array.restCount == 0, used < bytes.count {
      throw .trailingBytes(member: "ids", expected: used, found: bytes.count)
    }
    self.array = array
    return used
  }

  private func header(_ bytes: [UInt8], isAtEnd: Bool) throws(BodyError) -> NumPyHeader? {
    do throws(NumPyHeaderError) {
      let outcome = unsafe bytes.withUnsafeBytes { bytes in
        Result { () throws(NumPyHeaderError) in try NumPyHeader.parse(bytes) }
      }
      return try outcome.get()
    } catch {
      if case .truncated = error, !isAtEnd { return nil }
      throw .brokenNumPy(member: "ids", error)
    }
  }

  private static func array(_ header: NumPyHeader) throws(BodyError) -> Array {
    guard header.shape.count == 1 else {
      throw .wrongRank(member: "ids", found: header.shape, expected: 1)
    }
    guard let type = NumPyArray.ElementType(header.descr), "iu".contains(type.kind),
      [1, 2, 4, 8].contains(type.byteCount)
    else { throw .noIntegerIDs(dtype: "\(header.descr.prefix(40))") }
    guard type.byteOrder != ">" else {
      throw .wrongByteOrder(member: "ids", found: header.descr)
    }
    return Array(type: type, restCount: header.shape[0])
  }

  /// A little-endian integer in its decimal form.
  private static func decimal(
    _ bytes: ArraySlice<UInt8>, _ type: NumPyArray.ElementType
  ) -> ArraySlice<UInt8> {
    var bits = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard type.kind == "i" else { return [UInt8](String(bits).utf8)[...] }
    if let last = bytes.last, last & 0x80 != 0, type.byteCount < 8 {
      bits |= UInt64.max << (8 * UInt64(type.byteCount))
    }
    return [UInt8](String(Int64(bitPattern: bits)).utf8)[...]
  }
}
