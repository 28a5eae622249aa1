// One collection of a backup: its description, its shards in order, and what only one side has.

internal import Catalog
internal import ShardStore
internal import SystemIO

extension StoreBackup {
  /// - Returns: false when a shard was replaced meanwhile.
  func copy(
    _ collection: BackupCollection, catalog: CatalogSnapshot?, into target: BackupTarget,
    isPatient: Bool
  ) throws(BackupProblem) -> Bool {
    let layout = target.layout.collection(collection.name)
    try prepare(layout, for: collection, in: target)
    let positions = catalog.map { (try? $0.positions(collection: collection.uuid)) ?? [:] }
    let copying = ShardCopying(
      collection: collection, target: layout,
      targetOpener: ShardOpener(
        disk: disk, collection: layout, store: collection.opener.store,
        collectionUUID: collection.opener.collectionUUID, geometry: collection.opener.geometry,
        steps: collection.opener.steps),
      positions: positions ?? [:], isPatient: isPatient)
    var replaced: Set<Int> = []
    // A shard that replaced others has a smaller number than they.
    for number in collection.numbers where !replaced.contains(number) {
      guard let more = try copy(shard: number, copying) else { return false }
      replaced.formUnion(more)
    }
    try settleLostShards(copying, replaced: replaced, known: positions.map { Set($0.keys) })
    summary.collectionCount += 1
    return true
  }

  /// Makes the collection in the target, and removes what an interrupted run left in `new`.
  private func prepare(
    _ layout: CollectionLayout, for collection: BackupCollection, in target: BackupTarget
  ) throws(BackupProblem) {
    let isThere = try diskProblem { () throws(DiskError) in
      for directory in [layout.root, layout.shards, layout.newShards]
      where try disk.kind(of: directory) == nil {
        try disk.makeDirectory(directory)
      }
      for name in try disk.names(inDirectory: layout.newShards) {
        try removeShard(layout.newShards + "/" + name, in: layout)
      }
      return try disk.kind(of: layout.collectionFile) != nil
    }
    if isThere {
      let found = try? CollectionFile.read(layout.collectionFile, disk: disk)
      if let found, found.collectionUUID != collection.file.collectionUUID {
        throw .targetDiffers(
          path: target.layout.root,
          reason: "its collection \(collection.name) has UUID \(found.collectionUUID), the "
            + "source's has \(collection.file.collectionUUID)")
      }
      if found != nil { return }
    }
    try diskProblem { () throws(DiskError) in
      try collection.file.write(layout.collectionFile, inDirectory: layout.root, disk: disk)
      try disk.syncDirectory(target.layout.collections)
    }
  }

  /// What becomes of shards that the source does not have: those that compaction replaced go, those that
  /// were lost stay.
  private func settleLostShards(
    _ copying: ShardCopying, replaced: Set<Int>, known: Set<Int>?
  ) throws(BackupProblem) {
    let there = try diskProblem { () throws(DiskError) in
      try disk.names(inDirectory: copying.target.shards)
        .compactMap(ShardIdentity.number(ofDirectoryName:))
    }
    let kept = Set(copying.collection.shards.keys).subtracting(replaced)
    for number in Set(there).union(known ?? []).subtracting(kept).sorted() {
      let isReplaced = replaced.contains(number)
      if isReplaced, !there.contains(number) { continue }
      let name =
        "collection \(copying.collection.name), shard "
        + ShardIdentity.directoryName(number)
      guard there.contains(number) else {
        summary.problems.append("\(name) is missing in the source and was never copied")
        continue
      }
      switch BackupLostShardPlan(isReplaced: isReplaced, catalogKnows: known?.contains(number)) {
      case .keep:
        summary.problems.append(
          "\(name) is missing in the source; the copy keeps its own, from which it can be put back")
      case .remove:
        try diskProblem { () throws(DiskError) in
          let aside = copying.target.newShard(number).root
          try disk.rename(copying.target.shard(number).root, to: aside)
          try disk.syncDirectory(copying.target.shards)
          try removeShard(aside, in: copying.target)
        }
        summary.removedShardCount += 1
      }
    }
  }

  /// Collections that only one side has, or that cannot be read.
  func noteOtherCollections(
    _ listing: BackupListing, in target: BackupTarget
  ) throws(BackupProblem) {
    for (name, reason) in listing.problems.sorted(by: { $0.key < $1.key }) {
      summary.problems.append("collection \(name) was not copied: \(reason)")
    }
    let names = try diskProblem { () throws(DiskError) in
      try disk.names(inDirectory: target.layout.collections)
    }
    let known = Set(listing.collections.map(\.name)).union(listing.problems.keys)
    for name in names where !known.contains(name) {
      summary.problems.append(
        "collection \(name) is missing in the source; the copy keeps its own")
    }
  }

  /// Removes a shard's directory that is out of sight already.
  func removeShard(_ path: String, in layout: CollectionLayout) throws(DiskError) {
    for name in try disk.names(inDirectory: path) { try disk.removeFile(path + "/" + name) }
    try disk.removeDirectory(path)
    try disk.syncDirectory(layout.newShards)
  }
}
