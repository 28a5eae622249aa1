// One collection: its shape, its shards in order, and where the next batch goes.
// Written by CommitPipeline.swift, opened by Collection+Open.swift, read by Collection+Read.swift.

package import ShardStore
internal import Synchronization
internal import SystemIO

package final class Collection: Sendable {
  package let name: String
  package let opener: ShardOpener
  let shardList: Mutex<[Shard]>
  let writing: Mutex<Writing>
  let unusable: Mutex<[Int: String]>
  /// What the catalog knows of rows whose commit records are lost, by shard.
  let lost: Mutex<[Int: SortedIDs]>
  /// Held while a shard is replaced by another one, and while what was found in its files is judged and treated.
  let places = Mutex(())
  private let damageListener = Mutex<(@Sendable (Shard) -> Void)?>(nil)

  /// What the commit pipeline needs to know to place a batch.
  struct Writing {
    /// Takes the next batch; nil when the next batch begins a shard.
    var writer: ShardWriter?
    var nextShard: Int
    var nextSequence: Int
    /// Of the last batch that is durable.
    var durableSequence: Int
    /// Counts failures: what was written before one is not acknowledged after it.
    var generation = 0
  }

  init(
    name: String, opener: ShardOpener, shards: [Shard], writing: Writing, unusable: [Int: String],
    lost: [Int: SortedIDs] = [:]
  ) {
    self.name = name
    self.opener = opener
    shardList = Mutex(shards)
    self.writing = Mutex(writing)
    self.unusable = Mutex(unusable)
    self.lost = Mutex(lost)
  }

  package var dimension: Int { opener.geometry.dimension }
  package var dtype: Dtype { opener.geometry.dtype }
  /// By which the catalog knows the collection.
  package var uuid: String { opener.collectionUUID.description }

  /// In the order of their numbers.
  package var shards: [Shard] { shardList.withLock { $0 } }

  /// Asks to be told when a read of any shard finds damage.
  func onDamage(_ listener: @escaping @Sendable (Shard) -> Void) {
    damageListener.withLock { $0 = listener }
    for shard in shards { shard.onDamage(listener) }
  }

  func listen(to shard: Shard) {
    if let listener = damageListener.withLock({ $0 }) { shard.onDamage(listener) }
  }

  /// Adds a shard that is durable from now on.
  func adopt(_ shard: Shard) {
    listen(to: shard)
    shardList.withLock { $0.append(shard) }
  }

  /// Ids whose commit records are lost, as the catalog knows them, by shard.
  package var lostIDs: [Int: SortedIDs] { lost.withLock { $0 } }

  /// Shards that could not be opened, with the reason.
  package var unusableShards: [Int: String] { unusable.withLock { $0 } }

  /// Of all shards that are there or were replaced, also those that could not be opened.
  var lastShardNumber: Int? {
    let shards = shards
    return
      (shards.map(\.identity.number) + shards.flatMap(\.replacedShards)
      + unusableShards.keys).max()
  }

  /// Whether nothing is written to a shard any more, and nothing of it is still to become visible. That a writer
  /// has left it is not enough: its last batches may be on their way. A shard behind it that is visible is, since
  /// parts become visible in the order in which they were written.
  func isFinished(_ shard: Shard) -> Bool {
    let number = shard.identity.number
    return number != growingShard && number < shards.last?.identity.number ?? 0
  }

  /// The shard that takes the next batch, if it has room.
  package var growingShard: Int? { writing.withLock { $0.writer?.shard.identity.number } }

  /// What is damaged, or gone, grows no more: the next batch begins a shard.
  func stopWriting(to shard: Shard) {
    writing.withLock { if $0.writer?.shard === shard { $0.writer = nil } }
  }

  package var rowCount: Int { shards.reduce(0) { $0 + $1.rowCount } }

  package var lastSequence: Int { writing.withLock { $0.durableSequence } }

  /// Rows, bytes and name, for the collection's page.
  package struct Summary: Sendable {
    package let name: String
    package let dimension: Int
    package let dtype: Dtype
    package let rowCount: Int
    package let shardCount: Int
    /// Of the last commit that is durable, batch or deletion.
    package let lastSequence: Int
  }

  package var summary: Summary {
    Summary(
      name: name, dimension: dimension, dtype: dtype, rowCount: rowCount,
      shardCount: shards.count, lastSequence: lastSequence)
  }

  /// `[a-z0-9][a-z0-9._-]{0,62}`: safe as a directory's name and in a URL.
  package static func isValidName(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    func isAlphanumeric(_ byte: UInt8) -> Bool {
      (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
    }
    return (1...63).contains(bytes.count) && isAlphanumeric(bytes[0])
      && bytes.allSatisfy { isAlphanumeric($0) || [0x2E, 0x5F, 0x2D].contains($0) }
  }
}
