// Checksums of joined byte strings from the checksums of their parts.

extension CRC32C {
  /// What a checksum becomes when a number of zero bytes follows: a linear map over GF(2), as a matrix.
  ///
  /// `shift(of first) ^ second` is the checksum of both, where `second` has as many bytes as the shift.
  /// Source: Mark Adler's derivation for crc32_combine in zlib; the polynomial is Castagnoli's.
  package struct Shift: Sendable {
    private var columns: [UInt32]

    private static let reflectedPolynomial: UInt32 = 0x82F6_3B78

    package init(byteCount: Int) {
      precondition(byteCount >= 0)
      // One zero bit.
      var power = [Self.reflectedPolynomial] + (0..<31).map { UInt32(1) << $0 }
      var result = (0..<32).map { UInt32(1) << $0 }
      var bitCount = byteCount * 8
      while bitCount > 0 {
        if bitCount & 1 == 1 { result = result.map { Self.times(power, $0) } }
        power = power.map { Self.times(power, $0) }
        bitCount >>= 1
      }
      columns = result
    }

    private static func times(_ matrix: [UInt32], _ vector: UInt32) -> UInt32 {
      var sum: UInt32 = 0
      var rest = vector
      while rest != 0 {
        sum ^= matrix[rest.trailingZeroBitCount]
        rest &= rest - 1
      }
      return sum
    }

    /// The checksum of `first`'s bytes and then `second`'s.
    package func join(_ first: UInt32, _ second: UInt32) -> UInt32 {
      Self.times(columns, first) ^ second
    }
  }
}
