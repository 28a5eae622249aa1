// Whether all numbers of rows are finite, in one fast pass. The inner loop: Sources/CFiniteness.

internal import CFiniteness

/// Tests rows for NaN and infinity by their exponent bits.
///
/// A number is not finite when all its exponent bits are set. Adding the lowest exponent bit to the
/// masked exponent then carries into the sign bit and nowhere else, so one AND, one ADD and one OR
/// decide for all numbers of a 64-bit word; CFiniteness does it with the widest vectors there are.
package enum Finiteness {
  /// - Parameter rows: Whole numbers of `dtype`, at any alignment.
  @safe
  package static func holds(for rows: UnsafeRawBufferPointer, dtype: Dtype) -> Bool {
    switch dtype {
    case .float32:
      unsafe allFinite(
        rows, exponentMask: 0x7F80_0000_7F80_0000, lowestExponentBits: 0x0080_0000_0080_0000,
        signBits: 0x8000_0000_8000_0000)
    case .float16:
      unsafe allFinite(
        rows, exponentMask: 0x7C00_7C00_7C00_7C00, lowestExponentBits: 0x0400_0400_0400_0400,
        signBits: 0x8000_8000_8000_8000)
    }
  }

  private static func allFinite(
    _ bytes: UnsafeRawBufferPointer, exponentMask: UInt64, lowestExponentBits: UInt64,
    signBits: UInt64
  ) -> Bool {
    let wordCount = bytes.count / 8
    var carries = unsafe finiteness_carries(
      bytes.baseAddress, wordCount, exponentMask, lowestExponentBits)
    // What is left is less than a word; zeros in the rest of it are finite.
    var last: UInt64 = 0
    for offset in (wordCount * 8)..<bytes.count {
      last = unsafe last | UInt64(bytes[offset]) << UInt64((offset - wordCount * 8) * 8)
    }
    carries |= (last & exponentMask) &+ lowestExponentBits
    return carries & signBits == 0
  }
}
