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
    package var damage: [Damage]
  }

  package var summary: Summary {
    state.withLock { state in
      var summary = Summary(
        number: identity.number, rowCount: state.rowCount, isSealed: false, fileCRC32C: nil,
        firstSequence: state.firstSequence, lastSequence: state.lastSequence,
        logEnd: state.logEnd, damage: state.damage)
      if case .sealed(let sealed) = state.phase {
        summary.isSealed = true
        summary.fileCRC32C = sealed.table.fileCRC32C
      }
      return summary
    }
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
