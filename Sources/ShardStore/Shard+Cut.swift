// Mapped files that another program cuts after they were checked (fault E1). Used by Shard+Read.swift and
// IngestService/IDLookup.swift; ids.index: SealedIDIndex.swift. Pages that are gone: SystemIO/MappingFaults.swift.

internal import Synchronization
internal import SystemIO

extension Shard {
  /// Why rows that were lent may have been other bytes than those that were checked; nil when they were right.
  ///
  /// Asked after the bytes were used: a cut before that is seen here, and one after it does not matter.
  func damageSinceChecked(_ rows: Range<Int>) -> Damage? {
    let bytes = geometry.bytes(ofRows: rows)
    guard !rows.isEmpty,
      embeddings.mayBeLost(bytes, contentEnd: geometry.offset(ofRow: rowCount))
    else { return nil }
    forgetChecks(of: rows)
    return damage(in: rows)
  }

  private func forgetChecks(of rows: Range<Int>) {
    state.withLock { state in
      switch state.phase {
      case .sealed(var sealed):
        sealed.forgetChecks(in: geometry.bytes(ofRows: rows))
        state.phase = .sealed(sealed)
      case .open(let index, var committed):
        // Taken out while it changes, so that its arrays are not copied.
        state.phase = .open(OpenIDIndex(), [])
        committed.forgetChecks(of: rows)
        state.phase = .open(index, committed)
      }
    }
  }
}

extension [Shard.CommittedBatch] {
  fileprivate mutating func forgetChecks(of rows: Range<Int>) {
    var position = firstIndex(behind: rows.lowerBound)
    while position < count, self[position].rows.lowerBound < rows.upperBound {
      self[position].isChecked = false
      position += 1
    }
  }
}

extension Damage {
  /// Whether this says of rows what `other` says.
  func covers(_ other: Damage) -> Bool {
    guard !other.rows.isEmpty else { return self == other }
    return rows.lowerBound <= other.rows.lowerBound && other.rows.upperBound <= rows.upperBound
  }
}

extension IDIndexEntry {
  /// Whether an entry whose hash is that of an id is an entry of this id.
  ///
  /// Bytes that end with zero and are no id with this hash are not what was indexed: the log was cut. The hash alone
  /// decides then, since the row of an older batch would be wrong.
  package static func isOf(
    _ id: some Collection<UInt8>, hash: UInt64, stored: UnsafeRawBufferPointer, seed: UInt64
  ) -> Bool {
    if unsafe stored.elementsEqual(id) { return true }
    let endsWithZero = unsafe stored.last ?? 0 == 0
    return endsWithZero && XXH3.hash64(stored, seed: seed) != hash
  }
}
