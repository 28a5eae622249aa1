// The checksums of the store, from Intel ISA-L and xxHash. Test vectors: Tests/SystemIOTests.

internal import CISAL
internal import CXXHash

/// CRC32C (Castagnoli), as in iSCSI, ext4 and Kafka: polynomial 0x1EDC6F41, reflected.
///
/// Source: RFC 3720 appendix B.4 has the test vectors.
package enum CRC32C {
  /// ISA-L takes lengths as 32-bit integers, so longer input is fed in pieces.
  private static let pieceByteCountMax = 1 << 30

  /// The checksum of `bytes`, or of what came before and `bytes`.
  ///
  /// - Parameter previous: The checksum of the bytes before; 0 at the start.
  @safe
  package static func of(_ bytes: UnsafeRawBufferPointer, continuing previous: UInt32 = 0) -> UInt32
  {
    guard var position = bytes.baseAddress else { return previous }
    var remaining = bytes.count
    var state = ~previous
    while remaining > 0 {
      let piece = min(remaining, pieceByteCountMax)
      state = unsafe crc32_iscsi(
        UnsafeMutablePointer(mutating: position.assumingMemoryBound(to: UInt8.self)),
        Int32(piece), state)
      unsafe position += piece
      remaining -= piece
    }
    return ~state
  }

  package static func of(_ bytes: [UInt8], continuing previous: UInt32 = 0) -> UInt32 {
    unsafe bytes.withUnsafeBytes { of($0, continuing: previous) }
  }
}

/// The CRC-32 that zip members carry: polynomial 0x04C11DB7, reflected.
package enum ZipCRC32 {
  @safe
  package static func of(_ bytes: UnsafeRawBufferPointer, continuing previous: UInt32 = 0) -> UInt32
  {
    guard let start = bytes.baseAddress else { return previous }
    return unsafe crc32_gzip_refl(
      previous, start.assumingMemoryBound(to: UInt8.self), UInt64(bytes.count))
  }
}

/// XXH3 hashes: fast and well mixed, not proof against somebody who looks for collisions.
package enum XXH3 {
  /// 64 bits of `bytes`, different for every `seed`.
  @safe
  package static func hash64(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
    unsafe XXH3_64bits_withSeed(bytes.baseAddress, bytes.count, seed)
  }

  /// 128 bits of two byte strings, the first with its length before it so that the border counts.
  @safe
  package static func hash128(
    _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
  ) -> Digest128 {
    guard let state = unsafe XXH3_createState() else {
      preconditionFailure("no memory for a hash state")
    }
    defer { unsafe _ = XXH3_freeState(state) }
    var length = UInt64(first.count).littleEndian
    unsafe XXH3_128bits_reset(state)
    unsafe xxh3_128_update(state, &length, 8)
    unsafe xxh3_128_update(state, first.baseAddress, first.count)
    unsafe xxh3_128_update(state, second.baseAddress, second.count)
    let hash = unsafe XXH3_128bits_digest(state)
    return Digest128(high: hash.high64, low: hash.low64)
  }
}

/// 128 bits that stand for the content of a batch.
package struct Digest128: Hashable, Sendable {
  package var high: UInt64
  package var low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }
}
