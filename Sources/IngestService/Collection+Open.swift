// Creates a collection, or opens one as it is found at start.

internal import Catalog
package import ShardStore
internal import Synchronization
package import SystemIO

/// What start-up did to a collection, for the log.
package struct RecoveryReport: Sendable {
  package var lines: [String] = []
  /// What should be there and cannot be opened: collections, not single shards.
  package var problems: [String] = []

  package init() {}

  /// Collections that only the catalog knows. One that is there and cannot be opened may be any of them.
  mutating func noteLostCollections(_ catalog: (any CatalogReader)?, opened: [Collection]) {
    guard problems.isEmpty, let catalog else { return }
    let known = Set(opened.map(\.uuid))
    for uuid in (try? catalog.collections()) ?? [] where !known.contains(uuid) {
      let rowCount = ((try? catalog.positions(collection: uuid)) ?? [:]).values
        .reduce(0) { $0 + $1.rowCount }
      problems.append(
        "a collection with UUID \(uuid) and \(rowCount) rows is in catalog.sqlite and not on disk")
    }
  }
}

extension Collection {
  /// Three directories and a file, a block each.
  static var emptyByteCount: Int { 16 << 10 }

  /// Creates the directories and collection.json, durably.
  package static func create(
    _ name: String, uuid: StoreUUID = .random(), store: StoreUUID, geometry: ShardGeometry,
    layout: StoreLayout, disk: any Disk, steps: AllocationSteps
  ) throws(DiskError) -> Collection {
    let collection = layout.collection(name)
    try refuseWhatIsThere(collection, disk: disk)
    for directory in [collection.root, collection.shards, collection.newShards]
    where try disk.kind(of: directory) == nil {
      try disk.makeDirectory(directory)
    }
    // A collection that has its file has all of its folders.
    try disk.syncDirectory(collection.root)
    let file = CollectionFile(
      collectionUUID: uuid.description, dimension: geometry.dimension,
      dtype: geometry.dtype.rawValue)
    do throws(DiskError) {
      try file.write(collection.collectionFile, inDirectory: collection.root, disk: disk)
      try disk.syncDirectory(layout.collections)
    } catch {
      // Nobody was told of it: it is not to stand in the way of who tries again.
      try? disk.removeFile(collection.collectionFile)
      throw error
    }
    let opener = ShardOpener(
      disk: disk, collection: collection, store: store, collectionUUID: uuid,
      geometry: geometry, steps: steps)
    return Collection(
      name: name, opener: opener, shards: [],
      writing: Writing(writer: nil, nextShard: 0, nextSequence: 1, durableSequence: 0),
      unusable: [:])
  }

  /// A collection that cannot be opened is not created over: its shards belong to the UUID that it had.
  private static func refuseWhatIsThere(
    _ collection: CollectionLayout, disk: any Disk
  ) throws(DiskError) {
    var names: [String] = []
    if try disk.kind(of: collection.shards) == .directory {
      names = try disk.names(inDirectory: collection.shards)
    }
    let isFileThere = try disk.kind(of: collection.collectionFile) != nil
    guard names.isEmpty, !isFileThere else {
      throw .alreadyThere("create a collection over one that cannot be opened:", collection.root)
    }
  }

  /// Opens all shards, the last first: what a shard's log holds can depend on the shard behind it.
  ///
  /// - Throws: also when a file may not be opened by this user; then nothing is known of its rows.
  package static func open(
    _ name: String, opener: ShardOpener, known: CatalogEvidence, report: inout RecoveryReport
  ) throws(DiskError) -> Collection {
    // Names that the last process gave and did not live to sync: what is acknowledged from here on is
    // below them.
    try opener.disk.syncDirectory(opener.collection.root)
    try opener.disk.syncDirectory(opener.collection.shards)
    let numbers = try shardNumbers(opener, report: &report)
    var shards: [Shard] = []
    var unusable: [Int: String] = [:]
    var last: OpenedShard?
    var nextSequence: Int?
    for number in numbers.reversed() {
      do throws(ShardUnusable) {
        let opened = try opener.open(
          number, catalogRowCount: known.rowCount(ofShard: number) ?? 0,
          nextShardSequence: nextSequence)
        if let torn = opened.tornTail {
          report.lines.append("\(name): shard \(number): cut a torn tail: \(torn)")
        }
        for damage in opened.shard.summary.damage {
          report.lines.append(
            "\(name): shard \(number): rows \(damage.rows) are damaged: \(damage.reason)")
        }
        if number == numbers.last { last = opened }
        shards.append(opened.shard)
        nextSequence = opened.shard.summary.firstSequence
      } catch {
        if case .disk(let failure) = error, failure.isDenied { throw failure }
        unusable[number] = error.description
        report.lines.append("\(name): shard \(number) cannot be opened: \(error)")
        nextSequence = opener.firstSequence(number) ?? nextSequence
      }
    }
    shards.reverse()
    let replaced = Set(
      shards.flatMap { shard in shard.replacedShards.filter { $0 != shard.identity.number } })
    for number in numbers where replaced.contains(number) {
      // A compaction was interrupted after its new shard counted.
      shards.removeAll { $0.identity.number == number }
      unusable[number] = nil
      try ShardWriter.removeShard(number, in: opener.collection, disk: opener.disk)
    }
    // A number that was replaced is not given out again: the next start would remove its shard.
    let lastKnown = max(
      numbers.last ?? -1, known.shards.max() ?? -1, replaced.max() ?? -1)
    for number in known.shards.subtracting(numbers).subtracting(replaced).sorted() {
      guard let rowCount = known.rowCount(ofShard: number) else { continue }
      unusable[number] = "the shard is missing"
      report.lines.append(
        "\(name): shard \(number) is missing; its \(rowCount) rows are lost")
    }
    // The numbers of an unusable last shard are left out, as many as a shard can have: given out again,
    // they would make its batches count as never acknowledged.
    let behind = unusable.keys.filter { $0 > shards.last?.identity.number ?? -1 }
    let sequence = max(
      known.sequence, lastSequence(of: shards) + behind.count * ShardGeometry.rowCapacityMax)
    return Collection(
      name: name, opener: opener, shards: shards,
      writing: Writing(
        writer: last?.writer, nextShard: lastKnown + 1, nextSequence: sequence + 1,
        durableSequence: sequence),
      unusable: unusable)
  }

  /// Damaged rows at the end may have been as many batches, whose sequences are not given out again.
  private static func lastSequence(of shards: [Shard]) -> Int {
    shards.map { shard in
      let summary = shard.summary
      return summary.lastSequence + summary.damage.reduce(0) { $0 + $1.rows.count }
    }.max() ?? 0
  }

  /// Removes what interrupted creations left; nothing in there was acknowledged.
  private static func removeNewShards(_ opener: ShardOpener) throws(DiskError) {
    let directory = opener.collection.newShards
    guard try opener.disk.kind(of: directory) != nil else {
      try opener.disk.makeDirectory(directory)
      return
    }
    for name in try opener.disk.names(inDirectory: directory) {
      guard let number = ShardIdentity.number(ofDirectoryName: name) else { continue }
      try ShardWriter.removeNewShard(number, in: opener.collection, disk: opener.disk)
    }
  }

  /// Lists the shards, and reports what lies beside them.
  private static func shardNumbers(
    _ opener: ShardOpener, report: inout RecoveryReport
  ) throws(DiskError) -> [Int] {
    var numbers: [Int] = []
    for name in try opener.disk.names(inDirectory: opener.collection.shards) {
      if let number = ShardIdentity.number(ofDirectoryName: name) {
        numbers.append(number)
      } else {
        report.lines.append("\(opener.collection.shards)/\(name) is not Ingot's and is left alone")
      }
    }
    try removeNewShards(opener)
    return numbers
  }

  /// Seals every shard to which nothing comes any more. A shard with damage stays as it is.
  package func sealFinishedShards() throws(DiskError) {
    for shard in shards.filter(isFinished) {
      let summary = shard.summary
      guard !summary.isSealed, summary.damage.isEmpty else { continue }
      do throws(Shard.SealFailure) {
        try shard.seal(in: opener.collection, disk: opener.disk)
      } catch {
        if case .disk(let failure) = error { throw failure }
      }
    }
  }
}

extension ShardUnusable: CustomStringConvertible {
  package var description: String {
    switch self {
    case .disk(let error): "\(error)"
    case .noRecord: "commits.log has no valid record at its start or behind it"
    }
  }
}
