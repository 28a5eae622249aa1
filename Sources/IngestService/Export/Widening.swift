// float16 as float32, for formats that know nothing else. Used by ExportStream.swift.

enum Widening {
  /// The same numbers as float32.
  ///
  /// As integers, eight at a time: without F16C, which not every processor has, the compiler calls a function for
  /// each number. The exponent is moved by a multiplication, which is exact also for numbers below the normal ones.
  @safe
  static func float32(ofFloat16 bytes: UnsafeRawBufferPointer) -> [UInt8] {
    let count = bytes.count / 2
    return unsafe [UInt8](unsafeUninitializedCapacity: count * 4) { output, byteCount in
      let target = UnsafeMutableRawBufferPointer(output)
      for number in 0..<count {
        let half = UInt32(
          unsafe UInt16(
            littleEndian: bytes.loadUnaligned(fromByteOffset: number * 2, as: UInt16.self)))
        unsafe target.storeBytes(
          of: bits(half).littleEndian, toByteOffset: number * 4, as: UInt32.self)
      }
      byteCount = count * 4
    }
  }

  /// 2^112: the difference of the two exponents' biases.
  private static let scale = Float(bitPattern: (127 + 112) << 23)

  @inline(__always)
  static func bits(_ half: UInt32) -> UInt32 {
    let magnitude = (Float(bitPattern: (half & 0x7FFF) << 13) * scale).bitPattern
    let isFinite = half & 0x7C00 != 0x7C00
    return magnitude | (isFinite ? 0 : 0x7F80_0000) | (half & 0x8000) << 16
  }
}
