// Looking up ids and reading rows of one shard. A row is lent only after its checksum was right.

internal import Synchronization
internal import SystemIO

/// Why a row that exists cannot be served.
package struct RowDamaged: Error, Equatable, Sendable {
  package let shard: Int
  package let rows: Range<Int>
  package let reason: String

  package init(shard: Int, rows: Range<Int>, reason: String) {
    self.shard = shard
    self.rows = rows
    self.reason = reason
  }
}

extension Shard {
  /// What the newest record of this shard says of an id.
  package enum Newest: Equatable, Sendable {
    case row(Int)
    case deleted
  }

  /// What this shard says of an id; nil when it does not know it.
  package func newest(ofID id: [UInt8], hash: UInt64) -> Newest? {
    let (candidates, rowCount) = state.withLock { state -> ([IDIndexEntry], Int) in
      switch state.phase {
      case .open(var index, let committed):
        // Taken out while it changes, so that its arrays are not copied.
        state.phase = .open(OpenIDIndex(), [])
        defer { state.phase = .open(index, committed) }
        return (index.candidates(hash), state.rowCount)
      case .sealed(var sealed):
        defer { state.phase = .sealed(sealed) }
        return (sealed.candidates(hash), state.rowCount)
      }
    }
    let match = candidates.first { entry in
      guard entry.isDeletion || entry.row < rowCount else { return false }
      return unsafe withID(at: Int(entry.idOffset)) {
        unsafe IDIndexEntry.isOf(id, hash: hash, stored: $0, seed: identity.idHashSeed)
      }
    }
    return match.map { $0.isDeletion ? .deleted : .row($0.row) }
  }

  /// Lends the bytes of an id by its place in the log; an empty buffer when that is outside of it.
  package func withID<Result>(
    at offset: Int, _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    let end = state.withLock { $0.logEnd }
    guard offset >= 0, offset + 2 <= end else {
      return unsafe body(UnsafeRawBufferPointer(start: nil, count: 0))
    }
    let byteCount = unsafe log.withBytes(offset..<(offset + 2)) {
      Int(unsafe $0.integer(at: 0, as: UInt16.self))
    }
    let start = offset + 2
    return unsafe log.withBytes(start..<min(end, start + byteCount), body)
  }

  /// Checks rows, then lends their bytes; what is made of them counts only when this returns.
  ///
  /// - Parameter rows: Within the shard's durable rows.
  /// - Throws: when one of them is damaged; the damage is then known, and whoever listens is told.
  package func withRows<Result>(
    _ rows: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(RowDamaged) -> Result {
    if let damage = damage(in: rows) {
      throw RowDamaged(shard: identity.number, rows: damage.rows, reason: damage.reason)
    }
    let result = unsafe embeddings.withBytes(geometry.bytes(ofRows: rows), body)
    if let damage = damageSinceChecked(rows) {
      throw RowDamaged(shard: identity.number, rows: damage.rows, reason: damage.reason)
    }
    return result
  }

  /// Why rows may not be served; nil when their checksums are right.
  func damage(in rows: Range<Int>) -> Damage? {
    while true {
      switch check(rows) {
      case .right: return nil
      case .damaged(let damage, let isNew):
        if isNew { reportDamage() }
        return damage
      case .block(let block):
        if judge(block) { reportDamage() }
      }
    }
  }

  private enum Check {
    case right
    case damaged(Damage, isNew: Bool)
    /// A block whose checksum is wrong, of which it is not known yet which rows it damages.
    case block(Int)
  }

  private func check(_ rows: Range<Int>) -> Check {
    state.withLock { state in
      precondition(rows.lowerBound >= 0 && rows.upperBound <= state.rowCount)
      if let known = state.damage.first(where: { $0.rows.overlaps(rows) }) {
        return .damaged(known, isNew: false)
      }
      switch state.phase {
      case .sealed(var sealed):
        let block = sealed.firstDamagedBlock(in: geometry.bytes(ofRows: rows), of: embeddings)
        state.phase = .sealed(sealed)
        return block.map { .block($0) } ?? .right
      case .open(let index, var committed):
        state.phase = .open(OpenIDIndex(), [])
        defer { state.phase = .open(index, committed) }
        guard let batch = Self.firstDamagedBatch(rows, &committed, embeddings, geometry) else {
          return .right
        }
        let damage = Damage(rows: batch, reason: "their batch has a wrong checksum")
        state.damage.append(damage)
        return .damaged(damage, isNew: true)
      }
    }
  }

  private static func firstDamagedBatch(
    _ rows: Range<Int>, _ committed: inout [CommittedBatch], _ embeddings: any DiskMapping,
    _ geometry: ShardGeometry
  ) -> Range<Int>? {
    var position = committed.firstIndex(behind: rows.lowerBound)
    while position < committed.count, committed[position].rows.lowerBound < rows.upperBound {
      if !committed[position].isChecked {
        let found = unsafe embeddings.withBytes(geometry.bytes(ofRows: committed[position].rows)) {
          CRC32C.of($0)
        }
        guard found == committed[position].rowsCRC32C else { return committed[position].rows }
        committed[position].isChecked = true
      }
      position += 1
    }
    return nil
  }

  /// Tells which rows of a block with a wrong checksum are damaged: those whose batch is wrong as well, and
  /// those of which no batch is known. Where every batch is right, so are the rows, and the block's checksum is not.
  ///
  /// - Returns: whether that was not known.
  private func judge(_ block: Int) -> Bool {
    let start = block * SealTable.blockByteCount
    let bytes = start..<(start + SealTable.blockByteCount)
    let inBlock = geometry.rows(inBytes: bytes).clamped(to: 0..<rowCount)
    var suspects = [inBlock]
    for record in records(overlapping: inBlock) where crc32c(of: record.rows) == record.rowsCRC32C {
      suspects = suspects.flatMap { $0.subtracting(record.rows) }
    }
    let damaged = suspects.filter { !$0.isEmpty }
    return state.withLock { state in
      guard case .sealed(var sealed) = state.phase else { return false }
      sealed.trust(block)
      state.phase = .sealed(sealed)
      let reason = "block \(block) of embeddings.npy has a wrong checksum"
      var found = damaged.map { Damage(rows: $0, reason: reason) }
      if found.isEmpty {
        found = [Damage(rows: 0..<0, reason: reason + ", and its rows are right")]
      }
      found.removeAll { one in state.damage.contains { $0.covers(one) } }
      state.damage += found
      return !found.isEmpty
    }
  }
}

extension Range<Int> {
  /// What is left of this range: up to two parts.
  func subtracting(_ other: Range<Int>) -> [Range<Int>] {
    guard overlaps(other) else { return [self] }
    return [
      lowerBound..<Swift.max(lowerBound, other.lowerBound),
      Swift.min(upperBound, other.upperBound)..<upperBound,
    ].filter { !$0.isEmpty }
  }
}

extension [Shard.CommittedBatch] {
  /// The first batch that ends behind a row.
  func firstIndex(behind row: Int) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = low + (high - low) / 2
      if self[middle].rows.upperBound <= row { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
