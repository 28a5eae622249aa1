// The limits and thresholds of the service. Read from flags, environment and file by the program `ingot`.

package import ShardStore

/// All in bytes, unless the name says otherwise.
package struct ServiceConfiguration: Sendable {
  /// The only store that is opened, and none is created: a volume that is not mounted is an empty directory (fault E10).
  package var expectedStoreUUID: StoreUUID?
  /// Rows of one shard before the next is begun.
  package var shardByteCount = 256 << 20
  /// Free space below which nothing is written.
  package var diskReserveByteCount = 512 << 20
  /// Bodies that are being received, decoded and committed, together.
  package var inFlightByteCountMax = 128 << 20
  /// Rows and ids of one group commit; bounds how long a sync can take.
  package var groupByteCountMax = 32 << 20
  package var allocation = AllocationSteps()
  /// Bytes per second that the scrub reads when nobody asked for it.
  package var scrubRate = 32 << 20
  /// Every byte is verified again before it was not for this long.
  package var scrubAge = Duration.seconds(7 * 86_400)
  /// Dead rows are given back in the background, and not only on request.
  package var compactsByItself = true
  /// Shards with at least this share of dead rows are written anew.
  package var compactionDeadPercent = 30
  /// Bytes per second that compaction writes when nobody asked for it.
  package var compactionRate = 64 << 20

  package init() {}

  /// After the reserve was reached, writing goes on when this much is free again: a tenth more, so that
  /// the answer does not flicker.
  package var diskResumeByteCount: Int { diskReserveByteCount + diskReserveByteCount / 10 }
}
