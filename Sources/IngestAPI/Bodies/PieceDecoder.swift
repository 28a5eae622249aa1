// Batches from ids and rows that are read from files piece by piece, with the checks that bodies get. Used by
// `ingot import`.

package import ShardStore

/// The ids of one piece.
package enum PieceIDs {
  /// Elements of an array, one per row.
  case array(ArrayForm, any BodyMemory)
  /// Text, one id per line.
  case lines(any BodyMemory)
  /// The integers from here on.
  case from(UInt64)
}

/// What became of a piece. Rows are counted within it, from 0.
package struct DecodedPiece {
  /// Nil when no row is left.
  package let batch: Batch?
  /// Rows that were left out, since a number in them is not finite.
  package let nonFinite: [(row: Int, id: String)]
  /// Rows that were left out, since a later row of the piece has their id.
  package let replacedRowCount: Int
}

package struct PieceDecoder: Sendable {
  package let dimension: Int
  package let dtype: Dtype
  /// Rows that are not finite are left out; otherwise they are an error.
  package let leavesOutNonFinite: Bool

  package init(dimension: Int, dtype: Dtype, leavesOutNonFinite: Bool) {
    self.dimension = dimension
    self.dtype = dtype
    self.leavesOutNonFinite = leavesOutNonFinite
  }

  private var rowByteCount: Int { dimension * dtype.byteCount }

  /// - Parameter rows: Whole rows, at least one; taken over, and changed where rows are left out.
  package func decode(
    ids pieceIDs: PieceIDs, rows: any MutableBodyMemory
  ) throws(BodyError) -> DecodedPiece {
    let rowCount = unsafe rows.bytes.count / rowByteCount
    let ids = try collect(pieceIDs, rowCount: rowCount)
    guard ids.count == rowCount else {
      throw .idCountMismatch(idCount: ids.count, rowCount: rowCount)
    }
    let list = try ids.listWithoutDuplicates()
    let bad = try nonFiniteRows(rows, ids: ids)
    if bad.isEmpty, let list {
      return DecodedPiece(batch: batch(list, rows), nonFinite: [], replacedRowCount: 0)
    }
    let left = Set(bad)
    let finite = (0..<rowCount).filter { !left.contains($0) }
    let kept = ids.lastRows(of: finite)
    move(kept, in: rows)
    return DecodedPiece(
      batch: kept.isEmpty ? nil : batch(try ids.keeping(kept).finish(), rows),
      nonFinite: bad.map { ($0, String(decoding: ids[$0], as: UTF8.self)) },
      replacedRowCount: finite.count - kept.count)
  }

  private func collect(_ ids: PieceIDs, rowCount: Int) throws(BodyError) -> IDCollector {
    switch ids {
    case .array(let form, let elements): try form.ids(in: elements, rowCount: rowCount)
    case .lines(let text): IDCollector(lines: BodyBytes(text), rowCount: rowCount)
    case .from(let first): try ExternalIDs.from(first: first).collect(rowCount: rowCount)
    }
  }

  private func nonFiniteRows(
    _ memory: any BodyMemory, ids: IDCollector
  ) throws(BodyError) -> [Int] {
    let bytes = unsafe memory.bytes
    if Finiteness.holds(for: bytes, dtype: dtype) { return [] }
    guard leavesOutNonFinite else {
      throw .nonFinite(
        Finiteness.offendingRows(in: bytes, dimension: dimension, dtype: dtype) {
          String(decoding: ids[$0], as: UTF8.self)
        })
    }
    return stride(from: 0, to: bytes.count, by: rowByteCount).filter { start in
      let row = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<(start + rowByteCount)])
      return !Finiteness.holds(for: row, dtype: dtype)
    }.map { $0 / rowByteCount }
  }

  /// Moves the rows together at the start. They are in ascending order, so none is overwritten before its turn.
  private func move(_ kept: [Int], in rows: any MutableBodyMemory) {
    let bytes = unsafe rows.mutableBytes
    for (place, row) in kept.enumerated() where place != row {
      let from = unsafe bytes[(row * rowByteCount)...].prefix(rowByteCount)
      let to = unsafe bytes[(place * rowByteCount)...].prefix(rowByteCount)
      unsafe UnsafeMutableRawBufferPointer(rebasing: to).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: from))
    }
  }

  private func batch(_ ids: IDList, _ rows: any MutableBodyMemory) -> Batch {
    unsafe Batch(
      ids: ids, dimension: dimension, dtype: dtype,
      rows: UnsafeRawBufferPointer(rebasing: rows.bytes[..<(ids.count * rowByteCount)]),
      bodySHA256: nil, owner: rows)
  }
}

extension IDCollector {
  /// Nil when an id is there twice; every other fault is an error.
  fileprivate func listWithoutDuplicates() throws(BodyError) -> IDList? {
    do throws(BodyError) { return try finish() } catch {
      if case .duplicateID = error { return nil }
      throw error
    }
  }

  /// Of the rows with the same id, the last.
  fileprivate func lastRows(of rows: [Int]) -> [Int] {
    var seen: Set<ArraySlice<UInt8>> = []
    return rows.reversed().filter { seen.insert(self[$0]).inserted }.reversed()
  }
}

extension BodyError {
  /// The same error about rows that are counted from further up.
  package func counted(from firstRow: Int) -> BodyError {
    switch self {
    case .nonFinite(let rows): .nonFinite(rows.counted(from: firstRow))
    case .emptyID(let rows): .emptyID(rows.counted(from: firstRow))
    case .idTooLong(let rows): .idTooLong(rows.counted(from: firstRow))
    case .idNotUTF8(let rows): .idNotUTF8(rows.counted(from: firstRow))
    case .duplicateID(let rows): .duplicateID(rows.counted(from: firstRow))
    default: self
    }
  }
}

extension Offenders {
  fileprivate func counted(from firstRow: Int) -> Offenders {
    var moved = self
    moved.shift(by: firstRow)
    return moved
  }
}
