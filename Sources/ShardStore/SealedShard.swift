// The checksums and the index of a sealed shard, and which blocks were already checked in this process.

internal import SystemIO

/// What a shard knows from its seal record.
struct SealedShard {
  let table: SealTable
  let seed: UInt32
  /// Reads ids.index, or makes it again; only when somebody looks for an id.
  private let loadIndex: @Sendable () -> SealedIDIndex
  private var loadedIndex: SealedIDIndex?
  /// One bit per block: its checksum was right since it was mapped.
  private var checkedBlocks: [UInt64]

  init(table: SealTable, seed: UInt32, loadIndex: @escaping @Sendable () -> SealedIDIndex) {
    self.table = table
    self.loadIndex = loadIndex
    self.seed = seed
    checkedBlocks = [UInt64](repeating: 0, count: (table.blockCRC32Cs.count + 63) / 64)
  }

  mutating func index() -> SealedIDIndex {
    if let loadedIndex, !loadedIndex.isCut { return loadedIndex }
    let index = loadIndex()
    loadedIndex = index
    return index
  }

  /// The entries with this hash, newest first.
  mutating func candidates(_ hash: UInt64) -> [IDIndexEntry] {
    let index = index()
    let found = index.candidates(hash)
    // Asked afterwards: what was read of a file that was cut before is nothing.
    return index.isCut ? self.index().candidates(hash) : found
  }

  /// What is wrong with a block is known row by row: its checksum is not asked again.
  mutating func trust(_ block: Int) { checkedBlocks[block / 64] |= 1 << UInt64(block % 64) }

  /// Blocks are checked again when they are read next.
  mutating func forgetChecks(in bytes: Range<Int>) {
    let first = bytes.lowerBound / SealTable.blockByteCount
    let last = (bytes.upperBound - 1) / SealTable.blockByteCount
    for block in first...last { checkedBlocks[block / 64] &= ~(1 << UInt64(block % 64)) }
  }

  /// The first block of a byte range whose checksum is wrong; blocks that were right are not read again.
  mutating func firstDamagedBlock(
    in bytes: Range<Int>, of embeddings: any DiskMapping
  ) -> Int? {
    let first = bytes.lowerBound / SealTable.blockByteCount
    let last = (bytes.upperBound - 1) / SealTable.blockByteCount
    for index in first...last {
      let bit = UInt64(1) << (index % 64)
      if checkedBlocks[index / 64] & bit != 0 { continue }
      let found = unsafe embeddings.withBytes(table.block(index)) {
        unsafe SealTable.checksum(ofBlock: $0, index: index, seed: seed)
      }
      guard found == table.blockCRC32Cs[index] else { return index }
      checkedBlocks[index / 64] |= bit
    }
    return nil
  }
}
