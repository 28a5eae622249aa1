// Compares the catalog with the logs, both in the order of their batches. The catalog may be behind, and is never
// ahead: it has each record of a log up to the position that it names, and none behind it.

internal import Catalog
internal import Glibc
internal import ShardStore
internal import SystemIO

/// The catalog as far as it can be read, and what is wrong with it as a file.
package struct VerifiedCatalog: Sendable {
  let snapshot: CatalogSnapshot?
  let damage: [StoreDamage]
  let notes: [String]
}

extension StoreVerifier {
  /// Opens the catalog and checks its structure.
  package func openCatalog() -> VerifiedCatalog {
    let path = layout.catalogFile
    guard (try? disk.kind(of: path)) == .file else {
      return VerifiedCatalog(snapshot: nil, damage: [], notes: [])
    }
    func damaged(_ reason: String) -> VerifiedCatalog {
      let text = "\(path) \(reason); removed, it is made again from the logs"
      return VerifiedCatalog(snapshot: nil, damage: [StoreDamage(reason: text)], notes: [])
    }
    do {
      let snapshot = try CatalogSnapshot(path: path)
      if let problem = try snapshot.problem() { return damaged("is damaged (\(problem))") }
      return VerifiedCatalog(snapshot: snapshot, damage: [], notes: [])
    } catch CatalogError.version(let found, let expected) where found > expected {
      return VerifiedCatalog(
        snapshot: nil, damage: [],
        notes: [
          "\(path) is not compared: it has version \(found), this program knows \(expected); it will "
            + "be made again from the logs"
        ])
    } catch CatalogError.empty {
      let note = "\(path) is empty and will be filled from the logs"
      return VerifiedCatalog(snapshot: nil, damage: [], notes: [note])
    } catch {
      return damaged("cannot be read (\(error))")
    }
  }

  /// Collections that only the catalog knows.
  func checkLostCollections(
    _ catalog: CatalogSnapshot, known: Set<String>, _ result: inout StoreVerification
  ) {
    let uuids: [String]
    do { uuids = try catalog.collections() } catch {
      result.damage.append(StoreDamage(reason: "catalog.sqlite cannot be read: \(error)"))
      return
    }
    for uuid in uuids where !known.contains(uuid) {
      var check = CatalogCheck(catalog, collection: uuid)
      var lost: [StoreDamage] = []
      check.finish(collection: uuid, &lost)
      let ids = lost.flatMap(\.ids)
      result.damage.append(
        StoreDamage(
          ids: ids,
          reason:
            "a collection with UUID \(uuid) and \(ids.count) rows is in catalog.sqlite and not on "
            + "disk"))
    }
  }
}

/// Goes through the batches of a collection in the catalog while the logs are read.
struct CatalogCheck {
  private let catalog: CatalogSnapshot?
  private let collection: String
  private var positions: [Int: Catalog.Position] = [:]
  /// Behind the last row of each shard, as the batches have it.
  private var batchRowCounts: [Int: Int] = [:]
  private(set) var notes: [String] = []
  private var page: ArraySlice<CatalogBatch> = []
  private var lastSequence = 0
  private var isAtEnd: Bool
  /// Why the catalog cannot be read, or not any further.
  private var failure: String?
  /// Batches that no log has.
  private var extra: [CatalogBatch] = []
  /// Rows of each shard that records cover.
  private var covered: [Int: [Range<Int>]] = [:]

  private static let none = Catalog.Position(logOffset: 0, rowCount: 0, firstRecordCRC32C: 0)
  /// Batches of one read; bounds memory.
  private static let pageBatchCount = 64

  init(_ catalog: CatalogSnapshot?, collection: String) {
    self.catalog = catalog
    self.collection = collection
    isAtEnd = catalog == nil
    do {
      positions = try catalog?.positions(collection: collection) ?? [:]
      batchRowCounts = try catalog?.batchRowCounts(collection: collection) ?? [:]
    } catch {
      failure = "\(error)"
      isAtEnd = true
    }
  }

  /// Shards that the catalog has read and has batches of: one alone can be a damaged number.
  var shards: Set<Int> {
    Set(positions.keys).intersection(batchRowCounts.keys)
      .filter { $0 <= ShardIdentity.numberMax }
  }

  /// Rows of a shard that were committed: what positions and batches both say, since a number that is
  /// damaged and too large would make rows that never were count as lost.
  func rowCount(ofShard number: Int) -> Int {
    min(positions[number]?.rowCount ?? 0, batchRowCounts[number] ?? 0)
  }

  /// Whether a shard was compacted and the catalog knows another one of its number: a compaction counts before the
  /// catalog has followed it. Its batches then are those of the catalog, in other places.
  func mayBeBehindCompaction(_ first: CommitRecord?, ofShard number: Int) -> Bool {
    guard let first, first.kind == .replacement else { return false }
    return (positions[number] ?? Self.none).firstRecordCRC32C != first.recordCRC32C
  }

  /// Compares the batches of a shard, in order, with the catalog's.
  mutating func compare(
    _ shard: ShardVerification, collection: String, _ damage: inout [StoreDamage]
  ) {
    guard catalog != nil, failure == nil else { return }
    let position = positions[shard.number] ?? Self.none
    let mayBeBehind =
      !shard.replaced.isEmpty && position.firstRecordCRC32C != shard.firstRecordCRC32C
    var problems: [String] = []
    var behindCount = 0
    var movedCount = 0
    for found in shard.records {
      cover(found.record.rows, ofShard: shard.number)
      let isRead = found.end <= position.logOffset && !mayBeBehind
      guard let batch = batch(found.record.sequence) else {
        if failure != nil { return }
        if isRead {
          problems.append(
            "does not have batch \(found.record.sequence), rows \(found.record.rows)")
        } else {
          behindCount += 1
        }
        continue
      }
      let expected = CatalogBatch(
        found.record, shard: shard.number, ids: shard.idBytes(of: found))
      let isEqual = batch.isEqual(to: expected)
      if !isEqual, mayBeBehind, batch.isSameCommit(as: expected) {
        movedCount += 1
      } else if !isEqual {
        problems.append(
          "differs from commits.log about batch \(batch.sequence), rows \(found.record.rows)")
      } else if !isRead, !mayBeBehind {
        problems.append(
          "has batch \(batch.sequence), and has read commits.log up to byte "
            + "\(position.logOffset) only")
      }
    }
    if movedCount > 0 {
      notes.append(
        "catalog.sqlite has not followed the compaction that made shard "
          + "\(ShardIdentity.directoryName(shard.number)), which is read at the next start")
    } else if let problem = problem(of: position, shard, hasDamage: !shard.damage.isEmpty) {
      problems.append(problem)
    }
    damage += problems.map {
      StoreDamage(collection: collection, shard: shard.number, reason: "catalog.sqlite \($0)")
    }
    guard behindCount > 0 else { return }
    notes.append(
      "catalog.sqlite lacks the last \(behindCount) batches of shard "
        + "\(ShardIdentity.directoryName(shard.number)), which are read from its log at the next start"
    )
  }

  /// Whether the catalog stopped reading a log at the end of a record, and counted its rows.
  private func problem(
    of position: Catalog.Position, _ shard: ShardVerification, hasDamage: Bool
  ) -> String? {
    guard position != Self.none else { return nil }
    let last = shard.records.last { $0.end <= position.logOffset }
    if let last, last.end == position.logOffset {
      guard hasDamage || position.firstRecordCRC32C == shard.firstRecordCRC32C,
        position.replaced == shard.replaced
      else { return "knows another shard of this number" }
      return position.rowCount == last.record.rows.upperBound
        ? nil
        : "counts \(position.rowCount) rows up to byte \(position.logOffset) of commits.log, "
          + "expected \(last.record.rows.upperBound)"
    }
    // Where the log is damaged, it may well have been read to a place that is no longer there.
    guard !hasDamage else { return nil }
    return "has read commits.log up to byte \(position.logOffset), "
      + (position.logOffset > shard.logEnd
        ? "which ends at byte \(shard.logEnd)" : "which is within a record")
  }

  /// What is left in the catalog is in no log.
  mutating func finish(collection: String, _ damage: inout [StoreDamage]) {
    while let batch = next() {
      extra.append(batch)
      drop()
    }
    guard let failure else {
      for batch in extra { missing(batch, collection: collection, &damage) }
      return
    }
    damage.append(
      StoreDamage(
        collection: collection, reason: "catalog.sqlite cannot be compared: \(failure)"))
  }

  /// A batch that should exist: its ids are named where its rows are.
  private func missing(
    _ batch: CatalogBatch, collection: String, _ damage: inout [StoreDamage]
  ) {
    let rows = batch.firstRow..<(batch.firstRow + batch.rowCount)
    let isCovered = covered[batch.shard]?.contains {
      $0.lowerBound <= rows.lowerBound && rows.upperBound <= $0.upperBound
    }
    if isCovered == true {
      damage.append(
        StoreDamage(
          collection: collection, shard: batch.shard,
          reason: "catalog.sqlite has a batch \(batch.sequence) of rows \(rows), which commits.log "
            + "gives to others"))
      return
    }
    let list = batch.idList
    let ids = list.map { list in (0..<list.count).map(list.string) } ?? []
    let place = damage.lastIndex {
      $0.shard == batch.shard && $0.rows.contains(batch.firstRow)
    }
    if let place {
      damage[place].ids += ids
    } else {
      damage.append(
        StoreDamage(
          collection: collection, shard: batch.shard, rows: rows, ids: ids,
          reason: "batch \(batch.sequence) is in catalog.sqlite and not in commits.log"))
    }
  }

  private mutating func cover(_ rows: Range<Int>, ofShard number: Int) {
    var ranges = covered[number] ?? []
    if let last = ranges.last, last.upperBound == rows.lowerBound {
      ranges[ranges.count - 1] = last.lowerBound..<rows.upperBound
    } else {
      ranges.append(rows)
    }
    covered[number] = ranges
  }

  /// The batch of a sequence; those before it are in no log.
  private mutating func batch(_ sequence: Int) -> CatalogBatch? {
    while let batch = next(), batch.sequence <= sequence {
      drop()
      if batch.sequence == sequence { return batch }
      extra.append(batch)
    }
    return nil
  }

  /// The next batch of the catalog; nil at its end.
  private mutating func next() -> CatalogBatch? {
    if page.isEmpty, !isAtEnd, let catalog {
      do {
        page = try catalog.batches(
          collection: collection, after: lastSequence, limit: Self.pageBatchCount)[...]
      } catch {
        failure = failure ?? "\(error)"
      }
      isAtEnd = page.count < Self.pageBatchCount
    }
    return page.first
  }

  private mutating func drop() {
    lastSequence = page.removeFirst().sequence
  }
}

extension CatalogBatch {
  /// As `==`, which takes its time over each byte of the ids.
  fileprivate func isEqual(to other: CatalogBatch) -> Bool {
    var (left, right) = (self, other)
    left.ids = []
    right.ids = []
    guard left == right, ids.count == other.ids.count else { return false }
    return unsafe ids.withUnsafeBytes { bytes in
      unsafe other.ids.withUnsafeBytes { others in
        guard let start = bytes.baseAddress, let other = others.baseAddress else { return true }
        return unsafe memcmp(start, other, bytes.count) == 0
      }
    }
  }

  /// Whether another one is what compaction left of this.
  fileprivate func isSameCommit(as left: CatalogBatch) -> Bool {
    let isSamePlace =
      kind == .deletion || Receipt(self, collection: "") == Receipt(left, collection: "")
    guard isSamePlace, sequence == left.sequence, kind == left.kind, batchID == left.batchID,
      contentDigest == left.contentDigest, bodySHA256 == left.bodySHA256,
      committedAt == left.committedAt, let ids = idList, let leftIDs = left.idList
    else { return false }
    var next = 0
    for number in 0..<ids.count where next < leftIDs.count && ids[number] == leftIDs[next] {
      next += 1
    }
    return next == leftIDs.count
  }
}
