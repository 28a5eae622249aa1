// Block checksums of a growing embeddings.npy, computed while its rows are still in the processor's cache.
// Kept by ShardWriter.swift, used by ShardSealer.swift: a shard is then sealed without being read again.

internal import SystemIO

/// The CRC32C of each block's rows, without the header and without a seed: both are joined to it at the end.
struct RunningSums {
  private let geometry: ShardGeometry
  private var finished: [UInt32] = []
  private var current: UInt32 = 0
  /// Behind the last byte that was counted, in embeddings.npy.
  private var end = ShardHeader.byteCount

  init(geometry: ShardGeometry) { self.geometry = geometry }

  /// Counts the next rows.
  mutating func append(_ rows: UnsafeRawBufferPointer) {
    var done = 0
    while done < rows.count {
      let blockEnd = (end / SealTable.blockByteCount + 1) * SealTable.blockByteCount
      let count = min(rows.count - done, blockEnd - end)
      current = CRC32C.of(
        unsafe UnsafeRawBufferPointer(rebasing: rows[done..<(done + count)]), continuing: current)
      done += count
      end += count
      if end == blockEnd {
        finished.append(current)
        current = 0
      }
    }
  }

  /// The table of a shard of `rowCount` rows.
  ///
  /// - Returns: nil when other rows were counted: some were written and never became durable.
  func table(rowCount: Int, seed: UInt32) -> SealTable? {
    guard end == geometry.offset(ofRow: rowCount) else { return nil }
    let header = geometry.header(rowCount: rowCount).encoded
    let wholeBlock = CRC32C.Shift(byteCount: SealTable.blockByteCount)
    var file = CRC32C.of(header)
    var blocks: [UInt32] = []
    let sums = end % SealTable.blockByteCount == 0 ? finished : finished + [current]
    for (index, sum) in sums.enumerated() {
      let start = max(index * SealTable.blockByteCount, ShardHeader.byteCount)
      let byteCount = min((index + 1) * SealTable.blockByteCount, end) - start
      let shift =
        byteCount == SealTable.blockByteCount ? wholeBlock : CRC32C.Shift(byteCount: byteCount)
      var before = SealTable.checksum(beforeBlock: index, seed: seed)
      if index == 0 { before = CRC32C.of(header, continuing: before) }
      blocks.append(shift.join(before, sum))
      file = shift.join(file, sum)
    }
    return SealTable(fileByteCount: end, fileCRC32C: file, blockCRC32Cs: blocks)
  }
}
