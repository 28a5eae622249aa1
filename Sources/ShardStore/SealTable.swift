// The checksums of a sealed shard: the payload of its seal record.
// Format: docs/shard-format.md "Seal table". Made by ShardSealer.swift, used by ShardReader.swift.

package import SystemIO

/// A CRC32C for every block of embeddings.npy, and one for the whole file.
package struct SealTable: Equatable, Sendable {
  package let fileByteCount: Int
  package let fileCRC32C: UInt32
  package let blockCRC32Cs: [UInt32]

  package static let blockByteCount = 65_536
  static let trailer = Array("INGOTEND".utf8)
  package static let trailerByteCount = 16

  package enum Layout {
    package static let blockByteCount = 0
    package static let blockCount = blockByteCount + 4
    package static let fileByteCount = blockCount + 4
    package static let fileCRC32C = fileByteCount + 8
    package static let reserved = fileCRC32C + 4
    package static let blockCRC32C = reserved + 4
  }

  package static func blockCount(fileByteCount: Int) -> Int {
    (fileByteCount + blockByteCount - 1) / blockByteCount
  }

  /// The bytes of a block; the last one may be short.
  package func block(_ index: Int) -> Range<Int> {
    let start = index * Self.blockByteCount
    return start..<min(start + Self.blockByteCount, fileByteCount)
  }

  /// The seeded checksum of one block.
  package static func checksum(
    ofBlock bytes: UnsafeRawBufferPointer, index: Int, seed: UInt32
  ) -> UInt32 {
    CRC32C.of(bytes, continuing: checksum(beforeBlock: index, seed: seed))
  }

  /// What the checksum of a block continues from.
  static func checksum(beforeBlock index: Int, seed: UInt32) -> UInt32 {
    var position = ByteWriter()
    position.append(UInt64(index))
    return CRC32C.of(position.bytes, continuing: seed)
  }

  init(fileByteCount: Int, fileCRC32C: UInt32, blockCRC32Cs: [UInt32]) {
    self.fileByteCount = fileByteCount
    self.fileCRC32C = fileCRC32C
    self.blockCRC32Cs = blockCRC32Cs
  }

  /// Reads a file's bytes once and computes all its checksums.
  ///
  /// - Parameter alsoRead: Gets every block with its place, while it is in the processor's cache.
  package init(
    of mapping: any DiskMapping, fileByteCount: Int, seed: UInt32,
    alsoRead: (Range<Int>, UnsafeRawBufferPointer) -> Void = { _, _ in }
  ) {
    var file: UInt32 = 0
    var blocks: [UInt32] = []
    for index in 0..<Self.blockCount(fileByteCount: fileByteCount) {
      let start = index * Self.blockByteCount
      let end = min(start + Self.blockByteCount, fileByteCount)
      unsafe mapping.withBytes(start..<end) { block in
        file = CRC32C.of(block, continuing: file)
        blocks.append(unsafe Self.checksum(ofBlock: block, index: index, seed: seed))
        unsafe alsoRead(start..<end, block)
      }
    }
    self.fileByteCount = fileByteCount
    fileCRC32C = file
    blockCRC32Cs = blocks
  }

  /// The payload, padded so that the record ends with the trailer.
  func encoded(recordOverheadByteCount overhead: Int) -> [UInt8] {
    var out = ByteWriter()
    out.append(UInt32(Self.blockByteCount))
    out.append(UInt32(blockCRC32Cs.count))
    out.append(UInt64(fileByteCount))
    out.append(fileCRC32C)
    out.append(UInt32(0))
    for block in blockCRC32Cs { out.append(block) }
    out.pad(to: CommitRecord.alignment)
    out.append(UInt64(overhead + out.bytes.count + Self.trailerByteCount))
    out.append(Self.trailer)
    return out.bytes
  }

  /// The table in a seal record's payload; nil when it does not fit `fileByteCount` or itself.
  package init?(payload: [UInt8]) {
    let reader = ByteReader(payload)
    guard payload.count >= Layout.blockCRC32C + Self.trailerByteCount,
      reader.integer(at: Layout.blockByteCount, as: UInt32.self) == UInt32(Self.blockByteCount)
    else { return nil }
    let blockCount = Int(reader.integer(at: Layout.blockCount, as: UInt32.self))
    let fileByteCount: UInt64 = reader.integer(at: Layout.fileByteCount)
    guard fileByteCount < 1 << 48,
      blockCount == Self.blockCount(fileByteCount: Int(fileByteCount)),
      payload.count >= Layout.blockCRC32C + 4 * blockCount + Self.trailerByteCount
    else { return nil }
    self.fileByteCount = Int(fileByteCount)
    fileCRC32C = reader.integer(at: Layout.fileCRC32C)
    blockCRC32Cs = (0..<blockCount).map { reader.integer(at: Layout.blockCRC32C + 4 * $0) }
  }

  /// How long the record is that a trailer belongs to; nil when the bytes are no trailer.
  static func recordByteCount(ofTrailer bytes: [UInt8]) -> Int? {
    guard bytes.count == trailerByteCount, Array(bytes[8...]) == trailer else { return nil }
    let count: UInt64 = ByteReader(bytes).integer(at: 0)
    return count < 1 << 32 ? Int(count) : nil
  }
}
