// Makes everything again that follows from something else: `ingot rebuild`. One shard: ShardStore/ShardRepair.swift.
// The catalog: StoreRebuilder+Catalog.swift. What start-up does by itself: IngestService+Open.swift.

internal import Catalog
package import Logging
internal import ShardStore
package import SystemIO

/// What a rebuild did.
package struct RebuildReport: Sendable {
  package internal(set) var shardCount = 0
  package internal(set) var rowCount = 0
  package internal(set) var batchCount = 0
  /// What was made again, and from what.
  package internal(set) var repairs: [String] = []
  /// What could not be, and why.
  package internal(set) var failures: [String] = []
  /// Where the catalog of before is; nil when there was none.
  package internal(set) var keptCatalog: String?
}

/// Rebuilds a store that is not in use. What is replaced is kept: shards in `quarantine`, the catalog beside the new one.
package struct StoreRebuilder {
  let layout: StoreLayout
  let disk = RealDisk()
  let logger: Logger
  var report = RebuildReport()

  package init(root: String, logger: Logger) {
    layout = StoreLayout(root: root)
    self.logger = logger
  }

  /// - Parameter lock: of the store; held until the end.
  package mutating func rebuild(lock: StoreLock) throws(StoreProblem) -> RebuildReport {
    let verifier = StoreVerifier(root: layout.root)
    let store = try verifier.storeUUID()
    var ignored = StoreVerification()
    let known = verifier.openCatalog().snapshot
    for directory in try verifier.collectionDirectories(&ignored) {
      do throws(StoreProblem) {
        let file = try CollectionFile.read(directory.layout.collectionFile, disk: disk)
        guard let opener = verifier.opener(directory.layout, file: file, store: store) else {
          throw .damagedFile(
            path: directory.layout.collectionFile, reason: "a value is out of range")
        }
        repairShards(ShardPlaces(name: directory.name, opener: opener), known: known)
      } catch {
        report.failures.append("collection \(directory.name): \(error)")
      }
    }
    try keepCatalogAside()
    try fillCatalog(lock: lock, known: known)
    return report
  }
}

/// The shards of one collection, and what messages call them.
private struct ShardPlaces {
  let name: String
  let opener: ShardOpener

  func text(_ number: Int) -> String {
    "collection \(name), shard \(ShardIdentity.directoryName(number))"
  }
}

extension StoreRebuilder {
  private mutating func repairShards(_ places: ShardPlaces, known: CatalogSnapshot?) {
    let names = (try? disk.names(inDirectory: places.opener.collection.shards)) ?? []
    for number in names.compactMap(ShardIdentity.number(ofDirectoryName:)) {
      if places.opener.firstSequence(number) == nil { repairLog(number, of: places, known: known) }
      repairHeader(number, of: places)
    }
  }

  private mutating func repairHeader(_ number: Int, of places: ShardPlaces) {
    do throws(RepairFailure) {
      let repair = ShardRepair(places.opener, number: number)
      guard try repair.headerIsWrong() else { return }
      keep(number, of: places, reason: "the header of embeddings.npy is damaged")
      try repair.repairHeader()
      report.repairs.append("\(places.text(number)): the header of embeddings.npy, from the log")
    } catch {
      report.failures.append("\(places.text(number)): the header of embeddings.npy: \(error)")
    }
  }

  private mutating func repairLog(
    _ number: Int, of places: ShardPlaces, known: CatalogSnapshot?
  ) {
    let uuid = places.opener.collectionUUID.description
    let batches = (try? known?.batches(collection: uuid, shard: number)) ?? []
    let list = batches.compactMap(KnownBatch.init)
    guard list.count == batches.count else {
      report.failures.append("\(places.text(number)): the catalog's ids of it are malformed")
      return
    }
    keep(number, of: places, reason: "commits.log is lost or has no record of this shard")
    do throws(RepairFailure) {
      let position = try? known?.positions(collection: uuid)[number]
      let damaged = try ShardRepair(places.opener, number: number)
        .rebuildLog(from: list, replacing: position?.replaced ?? [])
      report.repairs.append("\(places.text(number)): commits.log, from the catalog")
      for rows in damaged {
        report.failures.append(
          "\(places.text(number)): rows \(rows) do not match the checksum that the catalog knows")
      }
    } catch {
      report.failures.append("\(places.text(number)): commits.log: \(error)")
    }
  }

  private mutating func keep(_ number: Int, of places: ShardPlaces, reason: String) {
    let files = places.opener.collection.shard(number)
    let note = QuarantineNote(
      collection: places.name, collectionUUID: places.opener.collectionUUID.description,
      shard: number, firstRecordCRC32C: "",
      foundAt: WallClock.text(nanoseconds: MonotonicTime.wallClockNanoseconds),
      foundBy: "rebuild",
      damage: [QuarantineNote.Rows(firstRow: 0, rows: 0, reason: reason, ids: [])], kept: [])
    do throws(DiskError) {
      _ = try Quarantine(layout: layout, disk: disk, reserveByteCount: 0)
        .keep(note, files: [files.embeddings, files.log])
    } catch {
      report.failures.append("\(places.text(number)) could not be kept: \(error)")
    }
  }
}

extension KnownBatch {
  /// - Returns: nil when the ids are not as they were written.
  fileprivate init?(_ batch: CatalogBatch) {
    guard let ids = batch.idList else { return nil }
    let origin = batch.origin.map {
      CommitRecord.Origin(
        shard: $0.shard, rows: $0.firstRow..<($0.firstRow + $0.rowCount),
        rowsCRC32C: $0.rowsCRC32C)
    }
    let kind: CommitRecord.Kind =
      batch.kind == .deletion ? .deletion : origin == nil ? .batch : .compacted
    self.init(
      record: CommitRecord(
        kind: kind, sequence: batch.sequence,
        rows: batch.firstRow..<(batch.firstRow + batch.rowCount), rowsCRC32C: batch.rowsCRC32C,
        committedAt: batch.committedAt, contentDigest: Digest128(bytes: batch.contentDigest),
        bodySHA256: batch.bodySHA256, batchID: batch.batchID, origin: origin), ids: ids)
  }
}
