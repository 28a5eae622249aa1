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
        return (sealed.index().candidates(hash), state.rowCount)
      }
    }
    let match = candidates.first { entry in
      guard entry.isDeletion || entry.row < rowCount else { return false }
      return unsafe withID(at: Int(entry.idOffset)) { unsafe $0.elementsEqual(id) }
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

  /// Checks rows, then lends their bytes.
  ///
  /// - Parameter rows: Within the shard's durable rows.
  package func withRows<Result>(
    _ rows: Range<Int>, _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(RowDamaged) -> Result {
    if let reason = damage(in: rows) {
      throw RowDamaged(shard: identity.number, rows: rows, reason: reason)
    }
    return unsafe embeddings.withBytes(geometry.bytes(ofRows: rows), body)
  }

  /// Why rows may not be served; nil when their checksums are right.
  private func damage(in rows: Range<Int>) -> String? {
    state.withLock { state in
      precondition(rows.lowerBound >= 0 && rows.upperBound <= state.rowCount)
      if let known = state.damage.first(where: { $0.rows.overlaps(rows) }) { return known.reason }
      switch state.phase {
      case .sealed(var sealed):
        // The header's block is not asked about unless rows share it.
        let bytes = geometry.bytes(ofRows: rows)
        let block = sealed.firstDamagedBlock(in: bytes, of: embeddings)
        state.phase = .sealed(sealed)
        return block.map { "block \($0) of embeddings.npy has a wrong checksum" }
      case .open(let index, var committed):
        state.phase = .open(OpenIDIndex(), [])
        defer { state.phase = .open(index, committed) }
        return Self.firstDamagedBatch(rows, &committed, embeddings, geometry)
          .map { "rows \($0.lowerBound)..<\($0.upperBound) have a wrong checksum" }
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
}

extension [Shard.CommittedBatch] {
  /// The first batch that ends behind a row.
  fileprivate func firstIndex(behind row: Int) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = low + (high - low) / 2
      if self[middle].rows.upperBound <= row { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
