// What is done about damage that a verification found: out of service, kept with a note, named; and what can be
// made again is.

internal import Catalog
internal import Logging
internal import ShardStore
internal import SystemIO

extension Scrubber {
  /// - Returns: whether something was made again, and is to be read again.
  func treat(
    _ found: ShardVerification, of shard: Shard, in collection: Collection, cause: String
  ) -> Bool {
    let target = ScrubTarget(collection: collection.uuid, shard: found.number)
    let now = MonotonicTime.wallClockNanoseconds
    if found.damage.isEmpty {
      shard.forgetDamageThatIsGone()
      compareCatalog(found, shard, in: collection)
    }
    if !found.damage.isEmpty { collection.stopWriting(to: shard) }
    shard.quarantine(found.damage.map { Damage(rows: $0.rows, reason: $0.reason) })
    // What could not be kept is not replaced: the next verification tries again.
    let isKept =
      isNoted(found, shard, collection)
      ? confirm(found, in: collection) : keep(found, of: shard, in: collection, cause: cause)
    let isRepaired = isKept && repair(found, of: shard, in: collection)
    state.change { state in
      state.verifiedAt[target] = now
      state.found[target] = found.damage
    }
    do {
      try catalog?.recordVerified(collection: collection.uuid, shard: found.number, at: now)
    } catch {
      logger.error("a verified shard cannot be recorded: \(error)")
    }
    return isRepaired
  }

  /// Makes again what follows from something else; the damaged files are kept by now.
  ///
  /// - Returns: whether there was something.
  private func repair(
    _ found: ShardVerification, of shard: Shard, in collection: Collection
  ) -> Bool {
    var isRepaired = false
    if found.damage.contains(where: { $0.reason.hasPrefix("ids.index") }) {
      isRepaired = shard.makeIndexAgain(
        in: collection.opener.collection, disk: collection.opener.disk)
    }
    guard found.isSealed, found.damage.contains(where: { $0.rows.isEmpty }) else {
      return isRepaired
    }
    let repair = ShardRepair(collection.opener, number: found.number)
    do throws(RepairFailure) {
      guard try repair.headerIsWrong() else { return isRepaired }
      try repair.repairHeader()
      logger.warning(
        "\(collection.name), shard \(found.number): the header of embeddings.npy was made again")
      return true
    } catch {
      logger.error(
        "\(collection.name), shard \(found.number): its header cannot be made again: \(error)")
      return isRepaired
    }
  }

  /// Whether a note says all of this already.
  private func isNoted(
    _ found: ShardVerification, _ shard: Shard, _ collection: Collection
  ) -> Bool {
    guard !found.damage.isEmpty else { return true }
    let id = shard.firstRecordCRC32C?.hexadecimal ?? ""
    let noted = quarantine.notes(collectionUUID: collection.uuid).filter {
      $0.shard == found.number && $0.firstRecordCRC32C == id
    }.flatMap(\.damage)
    return found.damage.allSatisfy { one in
      noted.contains {
        $0.firstRow == one.rows.lowerBound && $0.rows == one.rows.count && $0.reason == one.reason
      }
    }
  }

  /// - Returns: whether the notes are durable.
  private func confirm(_ found: ShardVerification, in collection: Collection) -> Bool {
    guard !found.damage.isEmpty else { return true }
    do throws(DiskError) {
      try quarantine.confirm(shard: found.number, collectionUUID: collection.uuid)
      return true
    } catch {
      logger.error("the notes of a damaged shard could not be made durable: \(error)")
      return false
    }
  }

  /// - Returns: false when not even a note could be written.
  private func keep(
    _ found: ShardVerification, of shard: Shard, in collection: Collection, cause: String
  ) -> Bool {
    let note = QuarantineNote(
      collection: collection.name, collectionUUID: collection.uuid, shard: found.number,
      firstRecordCRC32C: shard.firstRecordCRC32C?.hexadecimal ?? "",
      foundAt: WallClock.text(nanoseconds: MonotonicTime.wallClockNanoseconds), foundBy: cause,
      damage: found.damage.map { one in
        QuarantineNote.Rows(
          firstRow: one.rows.lowerBound, rows: one.rows.count, reason: one.reason, ids: one.ids)
      },
      kept: [])
    let layout = collection.opener.collection.shard(found.number)
    for one in found.damage {
      logger.error(
        "\(collection.name), shard \(found.number), rows \(one.rows): \(one.reason)")
    }
    do throws(DiskError) {
      let folder = try quarantine.keep(note, files: [layout.embeddings, layout.log, layout.index])
      logger.warning("the damaged shard is kept as \(folder)")
      return true
    } catch {
      logger.error("the damaged shard could not be kept: \(error)")
      return false
    }
  }

  /// The catalog repeats the log. Where it says something else, the shard is read into it again.
  private func compareCatalog(
    _ found: ShardVerification, _ shard: Shard, in collection: Collection
  ) {
    guard let catalog, let follower else { return }
    do {
      let known = try catalog.batches(collection: collection.uuid, shard: found.number)
      // Either may have more by now: the catalog is behind the log, and a shard goes on growing.
      let expected = found.records.prefix(known.count).map { record in
        CatalogBatch(record.record, shard: found.number, ids: found.idBytes(of: record))
      }
      let comparable = found.isSealed ? known[...] : known.prefix(expected.count)
      guard comparable != expected[...] else { return }
      logger.error(
        """
        catalog.sqlite differs from the log of \(collection.name), shard \(found.number); \
        it is read again
        """)
      // In one transaction: a receipt that is missing in between would let its batch in twice.
      try follower.replace([found.number], by: shard, of: collection)
    } catch {
      logger.error("catalog.sqlite cannot be compared: \(error)")
    }
  }

  /// Half of the age after the last time, as for shards. At start it was checked when it was opened.
  var isCatalogDue: Bool {
    let checked = state.withLock { $0.catalogCheckedAt } ?? began
    return checked.duration(to: .now).seconds > scrubAge.seconds / 2
  }

  /// Reads every page of the catalog. What is wrong with single batches is found with their shard.
  func checkCatalog() {
    let problem = catalog?.problem()
    state.change { state in
      state.catalogProblem = problem
      state.catalogCheckedAt = .now
    }
    guard let problem else { return }
    logger.error("catalog.sqlite is damaged, the next start makes it again: \(problem)")
    do { try catalog?.giveUp() } catch {
      logger.error("catalog.sqlite cannot be given up: \(error)")
    }
  }

  /// The files that say once what never changes.
  func checkFiles() {
    var problems: [String] = []
    do throws(StoreProblem) {
      _ = try StoreFile.read(quarantine.layout.storeFile, disk: quarantine.disk)
    } catch {
      problems.append("\(error)")
    }
    for collection in collections() {
      do throws(StoreProblem) {
        _ = try CollectionFile.read(
          collection.opener.collection.collectionFile, disk: collection.opener.disk)
      } catch {
        problems.append("\(error)")
      }
    }
    let found = problems
    state.change { $0.fileProblems = found }
  }
}
