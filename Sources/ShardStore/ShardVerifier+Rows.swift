// embeddings.npy under verification: every batch and every block in one pass, while the bytes are hot.

internal import SystemIO

extension ShardVerifier {
  /// Read at once: a multiple of the block, large enough that the calls do not count.
  static var pieceByteCount: Int { 8 * SealTable.blockByteCount }

  /// The checksum of rows; nil when they cannot be read.
  func crc32c(ofRows rows: Range<Int>, in file: RowsFile) -> UInt32? {
    let bytes = opener.geometry.bytes(ofRows: rows)
    guard bytes.upperBound <= file.byteCount, let source = file.file else { return nil }
    var checksum: UInt32 = 0
    var offset = bytes.lowerBound
    while offset < bytes.upperBound {
      let count = min(Self.pieceByteCount, bytes.upperBound - offset)
      guard let piece = try? source.read(offset: offset, byteCount: count), piece.count == count
      else { return nil }
      checksum = CRC32C.of(piece, continuing: checksum)
      offset += count
    }
    return checksum
  }

  /// Compares the rows with the checksums of their batches and, in a sealed shard, of their blocks.
  func checkRows(_ contents: ShardContents, rows: RowsFile, _ result: inout ShardVerification) {
    var pass = RowPass(contents)
    unsafe read(rows) { bytes, offset, sum in
      unsafe pass.take(bytes, at: offset, sum: sum)
    } failed: { range, error in
      pass.fail(range, error)
    }
    let rowsEnd = contents.geometry.offset(ofRow: contents.plan.rowCount)
    pass.finish(fileByteCount: rows.byteCount)
    for (index, reason) in pass.damagedBatches {
      let found = contents.batches[index]
      let ids = IDList(checkedBytes: result.idBytes(of: found), count: found.record.rowCount)
      let damage = ShardDamage(
        rows: found.record.rows, ids: ids.map { list in (0..<list.count).map(list.string) } ?? [],
        reason: reason)
      result.append(damage)
    }
    checkSize(rows, expected: rowsEnd, contents, &result)
    checkBlocks(pass, contents, rows: rows, &result)
    if pass.tailIsNotZero, case .none = contents.seal {
      result.notes.append(
        "\(shardName(result.number)): torn tail, will be cut at the next start: "
          + "bytes behind the last row of embeddings.npy are not zero")
    }
  }

  private func checkSize(
    _ rows: RowsFile, expected: Int, _ contents: ShardContents, _ result: inout ShardVerification
  ) {
    let isRight =
      if case .none = contents.seal { rows.byteCount >= expected } else {
        rows.byteCount == expected
      }
    guard !isRight, rows.failure == nil else { return }
    result.damage.append(
      ShardDamage(reason: "embeddings.npy has \(rows.byteCount) bytes, expected \(expected)"))
  }

  /// Blocks that are wrong although nothing else that they cover was found to be.
  private func checkBlocks(
    _ pass: RowPass, _ contents: ShardContents, rows: RowsFile, _ result: inout ShardVerification
  ) {
    guard case .whole(_, let table) = contents.seal, table.fileByteCount == rows.byteCount,
      rows.failure == nil
    else { return }
    for index in pass.damagedBlocks {
      let block = table.block(index)
      let isExplained =
        (index == 0 && rows.header?.rowCount != contents.plan.rowCount)
        || pass.damagedBatches.contains {
          contents.geometry.bytes(ofRows: contents.batches[$0.index].record.rows)
            .overlaps(block)
        }
      guard !isExplained else { continue }
      let gap = contents.plan.damage.first {
        contents.geometry.bytes(ofRows: $0.rows).overlaps(block)
      }
      result.append(
        ShardDamage(
          rows: gap?.rows ?? 0..<0,
          reason: "block \(index) of embeddings.npy has a wrong checksum"
            + (gap == nil ? " although its rows are right: the seal table is damaged" : "")))
    }
    if pass.fileCRC32C != table.fileCRC32C, result.damage.isEmpty {
      result.damage.append(
        ShardDamage(
          reason: "embeddings.npy: CRC32C is \(pass.fileCRC32C.eightDigits), expected "
            + table.fileCRC32C.eightDigits))
    }
  }

  /// Lends the file block by block. A piece that cannot be read is tried again block by block, so that
  /// one bad sector costs one block.
  private func read(
    _ rows: RowsFile, _ take: (UnsafeRawBufferPointer, _ offset: Int, _ sum: UInt32?) -> Void,
    failed: (Range<Int>, DiskError) -> Void
  ) {
    guard let file = rows.file else { return }
    let reader = ShardVerifierReadAhead(
      file, byteCount: rows.byteCount, pieceByteCount: Self.pieceByteCount)
    unsafe reader.readAll { piece, bytes in
      let end = min(piece.offset + Self.pieceByteCount, rows.byteCount)
      switch piece.outcome {
      case .success:
        unsafe lend(bytes, of: piece, take)
      case .failure:
        unsafe readBlocks(of: file, in: piece.offset..<end, take, failed: failed)
      }
      progress(end - piece.offset)
    }
  }

  private func readBlocks(
    of file: any DiskFile, in range: Range<Int>,
    _ take: (UnsafeRawBufferPointer, _ offset: Int, _ sum: UInt32?) -> Void,
    failed: (Range<Int>, DiskError) -> Void
  ) {
    for start in stride(from: range.lowerBound, to: range.upperBound, by: SealTable.blockByteCount)
    {
      let end = min(start + SealTable.blockByteCount, range.upperBound)
      do throws(DiskError) {
        let bytes = try file.read(offset: start, byteCount: end - start)
        unsafe bytes.withUnsafeBytes { unsafe take($0, start, nil) }
      } catch {
        failed(start..<end, error)
      }
    }
  }

  private func lend(
    _ bytes: UnsafeRawBufferPointer, of piece: ShardVerifierReadAhead.Piece,
    _ take: (UnsafeRawBufferPointer, _ offset: Int, _ sum: UInt32?) -> Void
  ) {
    var start = 0
    while start < bytes.count {
      let end = min(start + SealTable.blockByteCount, bytes.count)
      let block = start / SealTable.blockByteCount
      unsafe take(
        UnsafeRawBufferPointer(rebasing: bytes[start..<end]), piece.offset + start,
        block < piece.blockSums.count ? piece.blockSums[block] : nil)
      start = end
    }
  }
}

/// The checksums of a shard's rows, computed in one pass. Blocks come in order, from the file's start.
private struct RowPass {
  private(set) var damagedBatches: [(index: Int, reason: String)] = []
  private(set) var damagedBlocks: [Int] = []
  private(set) var fileCRC32C: UInt32 = 0
  private(set) var tailIsNotZero = false

  private let batches: [(bytes: Range<Int>, crc32c: UInt32)]
  private let rowsEnd: Int
  private let table: SealTable?
  private let seed: UInt32
  private var batch = 0
  private var batchCRC32C: UInt32 = 0
  private var failures: [(bytes: Range<Int>, error: DiskError)] = []

  init(_ contents: ShardContents) {
    batches = contents.batches.map {
      (contents.geometry.bytes(ofRows: $0.record.rows), $0.record.rowsCRC32C)
    }
    rowsEnd = contents.geometry.offset(ofRow: contents.plan.rowCount)
    seed = contents.identity.seed
    if case .whole(_, let table) = contents.seal { self.table = table } else { table = nil }
  }

  /// - Parameter sum: The CRC32C of a whole block, when it was computed already.
  mutating func take(_ bytes: UnsafeRawBufferPointer, at offset: Int, sum: UInt32?) {
    let end = offset + bytes.count
    if unsafe !takeWithinBatch(bytes, at: offset, sum: sum) {
      unsafe takeBlock(bytes, at: offset)
      unsafe takeBatches(bytes, at: offset)
    }
    if end > rowsEnd {
      let tail = unsafe UnsafeRawBufferPointer(rebasing: bytes[max(0, rowsEnd - offset)...])
      if unsafe !tail.isAllZero { tailIsNotZero = true }
    }
  }

  /// A whole block within one batch, as most are: its bytes are read once, and the checksums of block, file and
  /// batch are joined from that. Reading them three times was half of a verification's time (measured).
  ///
  /// - Returns: false for other blocks.
  private mutating func takeWithinBatch(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, sum: UInt32?
  ) -> Bool {
    let end = offset + bytes.count
    guard let sum, bytes.count == SealTable.blockByteCount, batch < batches.count,
      batches[batch].bytes.lowerBound <= offset, end <= batches[batch].bytes.upperBound
    else { return false }
    let index = offset / SealTable.blockByteCount
    if let table, index < table.blockCRC32Cs.count {
      let before = SealTable.checksum(beforeBlock: index, seed: seed)
      if Self.wholeBlock.join(before, sum) != table.blockCRC32Cs[index] {
        damagedBlocks.append(index)
      }
      fileCRC32C = Self.wholeBlock.join(fileCRC32C, sum)
    }
    batchCRC32C = Self.wholeBlock.join(batchCRC32C, sum)
    if end == batches[batch].bytes.upperBound { endBatch() }
    return true
  }

  private static let wholeBlock = CRC32C.Shift(byteCount: SealTable.blockByteCount)

  private mutating func takeBlock(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
    let index = offset / SealTable.blockByteCount
    guard let table, index < table.blockCRC32Cs.count else { return }
    let found = unsafe SealTable.checksum(ofBlock: bytes, index: index, seed: seed)
    if found != table.blockCRC32Cs[index] { damagedBlocks.append(index) }
    fileCRC32C = CRC32C.of(bytes, continuing: fileCRC32C)
  }

  private mutating func takeBatches(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
    let end = offset + bytes.count
    var position = offset
    while batch < batches.count, position < end {
      let range = batches[batch].bytes
      position = max(position, range.lowerBound)
      let stop = min(range.upperBound, end)
      guard position < stop else { break }
      batchCRC32C = CRC32C.of(
        unsafe UnsafeRawBufferPointer(rebasing: bytes[(position - offset)..<(stop - offset)]),
        continuing: batchCRC32C)
      position = stop
      if stop == range.upperBound { endBatch() }
    }
  }

  /// Bytes that could not be read.
  mutating func fail(_ range: Range<Int>, _ error: DiskError) {
    failures.append((range, error))
    damagedBlocks.append(range.lowerBound / SealTable.blockByteCount)
    while batch < batches.count, batches[batch].bytes.upperBound <= range.upperBound { endBatch() }
  }

  /// Ends the batches that the file was too short for.
  mutating func finish(fileByteCount: Int) {
    while batch < batches.count {
      damagedBatches.append((batch, "embeddings.npy ends at byte \(fileByteCount), before them"))
      batch += 1
    }
  }

  private mutating func endBatch() {
    let (bytes, expected) = batches[batch]
    if let failure = failures.first(where: { $0.bytes.overlaps(bytes) }) {
      damagedBatches.append((batch, "cannot be read: \(failure.error)"))
    } else if batchCRC32C != expected {
      damagedBatches.append(
        (
          batch,
          "rows CRC32C is \(batchCRC32C.eightDigits), expected \(expected.eightDigits)"
        ))
    }
    batch += 1
    batchCRC32C = 0
  }
}

extension ShardVerification {
  /// Adds damage; rows that follow rows with the same fate become one entry.
  fileprivate mutating func append(_ more: ShardDamage) {
    if let last = damage.last, !more.rows.isEmpty, last.reason == more.reason,
      last.rows.upperBound == more.rows.lowerBound
    {
      damage[damage.count - 1].rows = last.rows.lowerBound..<more.rows.upperBound
      damage[damage.count - 1].ids += more.ids
    } else {
      damage.append(more)
    }
  }
}

extension UInt32 {
  fileprivate var eightDigits: String {
    let digits = String(self, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}
