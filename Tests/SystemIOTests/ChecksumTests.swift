// The checksums against published vectors, whole and in pieces.

import SystemIO
import Testing

@Suite struct ChecksumTests {
  /// RFC 3720 appendix B.4, its SCSI command last.
  static let vectors: [(bytes: [UInt8], crc32c: UInt32)] = [
    ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
    ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
    (Array(0..<32), 0x46DD_794E),
    ((0..<32).reversed(), 0x113F_DB5C),
    (
      [
        0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 4, 0,
        0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
      ], 0xD996_3A56
    ),
    (Array("123456789".utf8), 0xE306_9283),
    ([], 0),
  ]

  @Test(arguments: vectors.indices)
  func crc32cMatchesThePublishedVectors(index: Int) {
    let (bytes, expected) = Self.vectors[index]

    #expect(CRC32C.of(bytes) == expected)
    for border in 0...bytes.count {
      let head = CRC32C.of(Array(bytes[..<border]))
      #expect(CRC32C.of(Array(bytes[border...]), continuing: head) == expected)
    }
  }

  @Test func zipCRC32MatchesThePublishedVector() {
    let bytes = Array("123456789".utf8)

    let whole = bytes.withUnsafeBytes { ZipCRC32.of($0) }
    let head = bytes[..<4].withUnsafeBytes { ZipCRC32.of($0) }
    let pieces = bytes[4...].withUnsafeBytes { ZipCRC32.of($0, continuing: head) }

    #expect(whole == 0xCBF4_3926)
    #expect(pieces == whole)
  }

  /// Values of `xxhsum -H3` and of the xxHash library itself: files of every store depend on them.
  @Test func xxh3KeepsItsValues() {
    func hash(_ text: String, seed: UInt64) -> UInt64 {
      Array(text.utf8).withUnsafeBytes { XXH3.hash64($0, seed: seed) }
    }
    #expect(hash("", seed: 0) == 0x2D06_8005_38D3_94C2)
    #expect(hash("a", seed: 0) == 0xE6C6_32B6_1E96_4E1F)
    #expect(hash("row-17", seed: 42) == 0xA3AD_8100_FCF5_83C8)
    #expect(hash("a", seed: 0) != hash("a", seed: 1))
  }

  @Test func hash128CountsTheBorderBetweenItsParts() {
    func hash(_ first: String, _ second: String) -> Digest128 {
      Array(first.utf8).withUnsafeBytes { first in
        Array(second.utf8).withUnsafeBytes { XXH3.hash128(first, $0) }
      }
    }
    #expect(hash("ab", "cd") == Digest128(high: 0x9DAF_1FC1_5A01_F7CC, low: 0xE753_6AF3_90A4_8CD6))
    #expect(hash("ab", "cd") != hash("abc", "d"))
    #expect(hash("ab", "cd") == hash("ab", "cd"))
  }
}
