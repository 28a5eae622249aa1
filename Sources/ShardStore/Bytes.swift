// Little-endian integers in byte strings, as the tables of docs/shard-format.md have them.

/// Appends fields one behind the other.
struct ByteWriter {
  private(set) var bytes: [UInt8] = []

  init(reserving byteCount: Int = 0) { bytes.reserveCapacity(byteCount) }

  mutating func append(_ value: some FixedWidthInteger) {
    unsafe withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
  }

  mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

  /// Adds zeros up to a multiple of `alignment`.
  mutating func pad(to alignment: Int) {
    while bytes.count % alignment != 0 { bytes.append(0) }
  }

  mutating func set(_ value: UInt32, at offset: Int) {
    for byte in 0..<4 { bytes[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
  }
}

/// Reads fields at offsets that the caller has checked to lie inside.
struct ByteReader {
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func integer<Value: FixedWidthInteger>(at offset: Int, as type: Value.Type = Value.self) -> Value
  {
    var value = Value.zero
    for byte in 0..<(Value.bitWidth / 8) {
      value |= Value(truncatingIfNeeded: bytes[offset + byte]) << (8 * byte)
    }
    return value
  }
}

extension UnsafeRawBufferPointer {
  /// A little-endian integer at an offset that the caller has checked to lie inside.
  func integer<Value: FixedWidthInteger & BitwiseCopyable>(
    at offset: Int, as type: Value.Type = Value.self
  ) -> Value {
    unsafe Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
  }
}
