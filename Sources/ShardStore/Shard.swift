// One shard as everybody but the writer sees it: mapped, with its index and its checksums.
// Filled by ShardWriter.swift and ShardRecovery.swift, ended by ShardSealer.swift, read by Shard+Read.swift.

internal import Synchronization
internal import SystemIO

/// Rows that can be read, found and checked. Mapped from its first row until it goes away.
package final class Shard: Sendable {
  package let identity: ShardIdentity
  package let geometry: ShardGeometry
  let embeddings: any DiskMapping
  let log: any DiskMapping
  let state: Mutex<State>
  /// Of the rows that were written since the shard was created; nil for one that was recovered.
  let sums: Mutex<RunningSums?>
  /// Held while the shard is sealed.
  let sealing = Mutex(())
  /// Told of damage that was found while rows were read.
  private let damageListener = Mutex<(@Sendable (Shard) -> Void)?>(nil)

  struct State {
    var phase: Phase
    var rowCount: Int
    var logEnd: Int
    var firstSequence: Int
    var lastSequence: Int
    /// The end of the chain, from which the seal record goes on.
    var lastRecordCRC32C: UInt32
    var damage: [Damage] = []
  }

  enum Phase {
    /// Grows, or waits to be sealed.
    case open(OpenIDIndex, [CommittedBatch])
    case sealed(SealedShard)
  }

  /// What an open shard remembers of each batch, to check its rows before they are first read.
  struct CommittedBatch {
    var rows: Range<Int>
    var rowsCRC32C: UInt32
    var isChecked: Bool
  }

  init(
    identity: ShardIdentity, geometry: ShardGeometry, embeddings: any DiskMapping,
    log: any DiskMapping, state: consuming State, sums: consuming RunningSums? = nil
  ) {
    self.identity = identity
    self.geometry = geometry
    self.embeddings = embeddings
    self.log = log
    self.state = Mutex(state)
    self.sums = Mutex(sums)
  }

  /// Asks to be told when a read finds damage; the damage is then in the summary.
  package func onDamage(_ listener: @escaping @Sendable (Shard) -> Void) {
    damageListener.withLock { $0 = listener }
  }

  func reportDamage() { damageListener.withLock { $0 }?(self) }

  /// Takes rows out of service. Rows that are out of service already stay so.
  package func quarantine(_ damage: [Damage]) {
    state.withLock { state in
      for one in damage where !one.rows.isEmpty {
        // Within the shard's rows, whatever a note of another time says.
        let rows = one.rows.clamped(to: 0..<state.rowCount)
        let isKnown = state.damage.contains {
          $0.rows.lowerBound <= rows.lowerBound && rows.upperBound <= $0.rows.upperBound
        }
        guard !isKnown, !rows.isEmpty else { continue }
        state.damage.append(Damage(rows: rows, reason: one.reason))
      }
    }
  }

  /// The files were verified and are right: what was found without a row at fault was repaired, and rows that are
  /// right in memory as well, since a disk only failed to read them once, are served again.
  package func forgetDamageThatIsGone() {
    let gone = state.withLock { $0.damage }.filter { $0.rows.isEmpty || areRight($0.rows) }
    state.withLock { state in state.damage.removeAll(where: gone.contains) }
  }

  /// Whether rows match the checksums of their batches, read anew.
  package func areRight(_ rows: Range<Int>) -> Bool {
    let batches = records(overlapping: rows)
    guard let first = batches.first, let last = batches.last,
      first.rows.lowerBound <= rows.lowerBound, last.rows.upperBound >= rows.upperBound
    else { return false }
    return batches.allSatisfy { crc32c(of: $0.rows) == $0.rowsCRC32C }
  }

  /// The checksum of rows as the file holds them now.
  func crc32c(of rows: Range<Int>) -> UInt32 {
    unsafe embeddings.withBytes(geometry.bytes(ofRows: rows)) { CRC32C.of($0) }
  }

  /// The first record's checksum: tells a shard from one that replaced it.
  package var firstRecordCRC32C: UInt32? {
    var reader = logReader(from: 0)
    return (try? reader.next())?.record.recordCRC32C
  }

  /// What a shard says of itself, for status and integrity.
  package struct Summary: Sendable {
    package var number: Int
    package var rowCount: Int
    package var isSealed: Bool
    /// Of embeddings.npy; known once sealed.
    package var fileCRC32C: UInt32?
    package var firstSequence: Int
    package var lastSequence: Int
    package var logEnd: Int
    /// Of the last batch; by the chain it stands for everything before.
    package var lastRecordCRC32C: UInt32
    package var damage: [Damage]
  }

  package var summary: Summary {
    state.withLock { state in
      var summary = Summary(
        number: identity.number, rowCount: state.rowCount, isSealed: false, fileCRC32C: nil,
        firstSequence: state.firstSequence, lastSequence: state.lastSequence,
        logEnd: state.logEnd, lastRecordCRC32C: state.lastRecordCRC32C, damage: state.damage)
      if case .sealed(let sealed) = state.phase {
        summary.isSealed = true
        summary.fileCRC32C = sealed.table.fileCRC32C
      }
      return summary
    }
  }

  /// What the header says now; nil when it is damaged.
  package var headerRowCount: Int? {
    let bytes = unsafe embeddings.withBytes(0..<ShardHeader.byteCount) { unsafe [UInt8]($0) }
    return ShardHeader(bytes, dimension: geometry.dimension, dtype: geometry.dtype)?.rowCount
  }

  /// What a verification reads: rows and log.
  package var storedByteCount: Int {
    state.withLock { geometry.offset(ofRow: $0.rowCount) + $0.logEnd }
  }

  /// Rows that are durable and can be read.
  package var rowCount: Int { state.withLock { $0.rowCount } }

  /// Makes the rows of durable batches readable, in the order of their commit.
  func publish(_ batches: [WrittenBatch]) {
    state.withLock { state in
      guard case .open(var index, var committed) = state.phase else {
        preconditionFailure("only an open shard grows")
      }
      // Taken out while it changes, so that its arrays are not copied.
      state.phase = .open(OpenIDIndex(), [])
      for batch in batches {
        batch.add(to: &index)
        if !batch.rows.isEmpty {
          committed.append(
            CommittedBatch(rows: batch.rows, rowsCRC32C: batch.record.rowsCRC32C, isChecked: false))
        }
        state.rowCount = batch.rows.upperBound
        state.logEnd = batch.logOffset + batch.record.byteCount
        state.lastSequence = batch.record.sequence
        state.lastRecordCRC32C = batch.record.recordCRC32C
        if state.firstSequence == 0 { state.firstSequence = batch.record.sequence }
      }
      state.phase = .open(index, committed)
    }
  }
}

/// A batch or deletion whose rows and record were written, on its way to being durable.
package struct WrittenBatch: Sendable {
  package let record: CommitRecord
  package let logOffset: Int
  let idOffsets: [UInt32]
  let idHashes: [UInt64]

  package var rows: Range<Int> { record.rows }

  func add(to index: inout OpenIDIndex) {
    let idsStart = logOffset + record.payloadOffset
    let isDeletion = record.kind == .deletion
    for number in idHashes.indices {
      index.append(
        IDIndexEntry(
          hash: idHashes[number], row: record.firstRow + (isDeletion ? 0 : number),
          isDeletion: isDeletion, idOffset: idsStart + Int(idOffsets[number])))
    }
  }
}
