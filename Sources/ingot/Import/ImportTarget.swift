// Where an import stores its batches. A store: StoreTarget.swift. A server: ServerTarget.swift.

import ShardStore
import SystemIO

/// A batch with the id under which it is stored once.
struct ImportBatch: Sendable {
  let id: String
  let batch: Batch
}

/// What became of the batches so far.
struct ImportTally: Sendable {
  var storedRowCount = 0
  var storedBatchCount = 0
  /// Had been stored by an earlier run.
  var knownRowCount = 0
  var knownBatchCount = 0

  mutating func count(_ batch: Batch, isKnown: Bool) {
    storedRowCount += isKnown ? 0 : batch.rowCount
    storedBatchCount += isKnown ? 0 : 1
    knownRowCount += isKnown ? batch.rowCount : 0
    knownBatchCount += isKnown ? 1 : 0
  }
}

protocol ImportTarget: AnyObject {
  /// What the collection holds; nil when it is not there. Changes nothing.
  func shape(of collection: String) throws(Failure) -> CollectionShape?
  /// Makes the collection when it is not there, and takes batches for it from here on.
  func begin(_ collection: String, _ shape: CollectionShape) throws(Failure)
  /// Takes a batch, after waiting for room. Batches become durable in the order in which they are given.
  ///
  /// - Throws: why this batch, or one before, was not stored.
  func store(_ batch: ImportBatch) throws(Failure)
  /// Waits until all batches are durable or refused, and ends. Called once, whatever happened.
  func finish() throws(Failure)
  var tally: ImportTally { get }
}
