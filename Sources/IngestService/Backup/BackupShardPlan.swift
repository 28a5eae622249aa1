// Decides what becomes of one shard of a copy. No effects: those are in StoreBackup+Shards.swift.

internal import ShardStore

/// What to do with a shard, by what source and copy hold of it.
enum BackupShardPlan: Equatable {
  /// The copy holds the same.
  case skip
  case write
  /// The source is damaged and the copy is not replaced by less.
  case keep(reason: String)

  /// - Parameters:
  ///   - source: What the source holds.
  ///   - copy: What the copy holds; nil when there is no such shard or it cannot be read.
  ///   - copyIsExact: The copy's files have the sizes that `source` asks for, and all are there.
  init(source: ShardCut, copy: ShardCut?, copyIsExact: Bool) {
    if let damage = source.damage, copy != nil {
      self = .keep(reason: damage)
    } else if let copy, copyIsExact, copy == source {
      self = .skip
    } else {
      self = .write
    }
  }
}

/// What becomes of a shard that only the copy has.
enum BackupLostShardPlan: Equatable {
  /// Compaction replaced it.
  case remove
  /// The source lost it: this may be the only copy.
  case keep

  /// - Parameters:
  ///   - isReplaced: Another shard says that it replaced this one.
  ///   - catalogKnows: Whether the source's catalog says that the shard should exist; nil without a catalog.
  init(isReplaced: Bool, catalogKnows: Bool?) {
    self = isReplaced || catalogKnows == false ? .remove : .keep
  }
}
