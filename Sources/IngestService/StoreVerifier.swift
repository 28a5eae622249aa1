// Reads a whole store that is not in use and says what is damaged. Changes nothing. Printed by `ingot verify`.
// One shard: ShardStore/ShardVerifier.swift. The catalog: StoreVerifier+Catalog.swift. Counts: StoreVerifier+List.swift.

internal import Catalog
internal import ShardStore
package import SystemIO

/// What was found in a store.
package struct StoreVerification: Sendable {
  package var rowCount = 0
  package var byteCount = 0
  package var shardCount = 0
  package var batchCount = 0
  package var damage: [StoreDamage] = []
  package var notes: [String] = []

  package var isClean: Bool { damage.isEmpty }
}

/// Something that is not as it was written, and where.
package struct StoreDamage: Equatable, Sendable {
  /// Nil for the store itself.
  package var collection: String?
  /// Nil for the collection itself.
  package var shard: Int?
  /// Counted within the shard; empty when no row is touched.
  package var rows = 0..<0
  /// Of these rows, as far as log or catalog know them.
  package var ids: [String] = []
  package var reason: String
}

package struct StoreVerifier {
  let layout: StoreLayout
  let disk: any Disk
  let progress: (_ byteCount: Int, _ totalByteCount: Int) -> Void

  /// - Parameter progress: Told how many bytes of how many were read.
  package init(
    root: String, disk: any Disk = RealDisk(),
    progress: @escaping (_ byteCount: Int, _ totalByteCount: Int) -> Void = { _, _ in }
  ) {
    layout = StoreLayout(root: root)
    self.disk = disk
    self.progress = progress
  }

  /// Locks a store that is there, so that it does not change meanwhile.
  package static func lock(root: String) throws(StoreProblem) -> StoreLock {
    do throws(DiskError) { return try StoreLock(directory: root) } catch {
      if error.isNotFound { throw .noStore(path: root, hasDirectory: false) }
      guard error.isLockedByAnother else { throw .disk(error) }
      throw .inUse(path: root, processID: StoreLock.holder(ofDirectory: root))
    }
  }

  /// Reads and checks everything.
  ///
  /// - Parameter catalog: One that was opened before; nil opens it.
  /// - Throws: when there is no store, one of a newer format, or one whose files may not be read. Damage is not thrown.
  package func verify(
    catalog opened: VerifiedCatalog? = nil
  ) throws(StoreProblem) -> StoreVerification {
    var result = StoreVerification()
    guard let store = try readStore(&result) else { return result }
    let directories = try collectionDirectories(&result)
    let openedCatalog = opened ?? openCatalog()
    result.damage += openedCatalog.damage
    result.notes += openedCatalog.notes
    let catalog = openedCatalog.snapshot
    let total = directories.reduce(0) { $0 + byteCount(of: $1.layout) }
    var doneByteCount = 0
    var known: Set<String> = []
    var areAllKnown = true
    var identities = IdentityCheck()
    for directory in directories {
      let file: CollectionFile
      do throws(StoreProblem) {
        file = try CollectionFile.read(directory.layout.collectionFile, disk: disk)
      } catch {
        if error.isDenied { throw error }
        result.damage.append(
          StoreDamage(
            collection: directory.name,
            reason: "\(error); its shards could not be checked"))
        areAllKnown = false
        continue
      }
      guard let opener = opener(directory.layout, file: file, store: store) else {
        result.damage.append(
          StoreDamage(
            collection: directory.name, reason: "collection.json: a value is out of range"))
        areAllKnown = false
        continue
      }
      known.insert(opener.collectionUUID.description)
      let verifier = ShardVerifier(opener) { [progress] count in
        doneByteCount += count
        progress(min(doneByteCount, total), total)
      }
      try verify(
        directory.name, verifier, opener: opener, catalog: catalog, identities: &identities, &result
      )
    }
    if let file = identities.foreignStoreFile { result.damage.append(file) }
    if areAllKnown, let catalog { checkLostCollections(catalog, known: known, &result) }
    return result
  }
}

// MARK: - What is there

struct CollectionDirectory {
  let name: String
  let layout: CollectionLayout
}

extension StoreVerifier {
  /// The store's UUID; nil when store.json is damaged, which is noted as such.
  private func readStore(_ result: inout StoreVerification) throws(StoreProblem) -> StoreUUID? {
    do throws(StoreProblem) { return try storeUUID() } catch {
      guard case .damagedFile = error else { throw error }
      result.damage.append(
        StoreDamage(reason: "\(error); nothing else can be checked without it"))
      return nil
    }
  }

  func storeUUID() throws(StoreProblem) -> StoreUUID {
    let file: StoreFile
    do throws(StoreProblem) {
      file = try StoreFile.read(layout.storeFile, disk: disk)
    } catch {
      guard case .disk(let reason) = error, reason.isNotFound else { throw error }
      throw .noStore(path: layout.root, hasDirectory: true)
    }
    guard let uuid = StoreUUID(file.storeUUID) else {
      throw .damagedFile(path: layout.storeFile, reason: "store_uuid is no UUID")
    }
    return uuid
  }

  func collectionDirectories(
    _ result: inout StoreVerification
  ) throws(StoreProblem) -> [CollectionDirectory] {
    var directories: [CollectionDirectory] = []
    do throws(DiskError) {
      guard try disk.kind(of: layout.collections) == .directory else {
        result.damage.append(StoreDamage(reason: "\(layout.collections) is missing"))
        return []
      }
      for name in try disk.names(inDirectory: layout.collections) {
        let collection = layout.collection(name)
        guard Collection.isValidName(name), try disk.kind(of: collection.root) == .directory else {
          result.notes.append("\(collection.root) is not Ingot's and is left alone")
          continue
        }
        // Without collection.json its creation was interrupted, unless it holds shards.
        let names = try disk.names(inDirectory: collection.root)
        let shardNames = try shardNames(collection)
        if !names.contains("collection.json"), shardNames.isEmpty {
          result.notes.append("\(collection.root) was not wholly created")
        } else {
          directories.append(CollectionDirectory(name: name, layout: collection))
        }
      }
    } catch {
      throw .disk(error)
    }
    return directories
  }

  private func shardNames(_ collection: CollectionLayout) throws(DiskError) -> [String] {
    guard try disk.kind(of: collection.shards) == .directory else { return [] }
    return try disk.names(inDirectory: collection.shards)
  }

  func opener(
    _ layout: CollectionLayout, file: CollectionFile, store: StoreUUID
  ) -> ShardOpener? {
    guard let uuid = StoreUUID(file.collectionUUID), let dtype = Dtype(rawValue: file.dtype),
      file.dimension > 0
    else { return nil }
    return ShardOpener(
      disk: disk, collection: layout, store: store, collectionUUID: uuid,
      geometry: ShardGeometry(
        dimension: file.dimension, dtype: dtype,
        shardByteCount: ServiceConfiguration().shardByteCount),
      steps: AllocationSteps())
  }

  /// The numbers of the shards that are there; other names become notes.
  func shardNumbers(_ collection: CollectionLayout, notes: inout [String]) throws(DiskError)
    -> [Int]
  {
    var numbers: [Int] = []
    for name in try shardNames(collection) {
      if let number = ShardIdentity.number(ofDirectoryName: name) {
        numbers.append(number)
      } else {
        notes.append("\(collection.shards)/\(name) is not Ingot's and is left alone")
      }
    }
    if try disk.kind(of: collection.newShards) == .directory {
      for name in try disk.names(inDirectory: collection.newShards) {
        notes.append(
          "\(collection.newShards)/\(name) was not wholly created; removed at the next start")
      }
    }
    return numbers
  }

  /// Bytes that a pass over a collection reads.
  private func byteCount(of collection: CollectionLayout) -> Int {
    var notes: [String] = []
    let numbers = (try? shardNumbers(collection, notes: &notes)) ?? []
    return numbers.reduce(0) { sum, number in
      let shard = collection.shard(number)
      return sum
        + [shard.embeddings, shard.log].reduce(0) { sum, path in
          sum + ((try? disk.openFile(path, for: .read).byteCount()) ?? 0)
        }
    }
  }
}

// MARK: - One collection

extension StoreVerifier {
  private func verify(
    _ name: String, _ verifier: ShardVerifier, opener: ShardOpener, catalog: CatalogSnapshot?,
    identities: inout IdentityCheck, _ result: inout StoreVerification
  ) throws(StoreProblem) {
    let numbers: [Int]
    do throws(DiskError) {
      numbers = try shardNumbers(opener.collection, notes: &result.notes)
    } catch {
      result.damage.append(StoreDamage(collection: name, reason: "\(error)"))
      return
    }
    var check = CatalogCheck(catalog, collection: opener.collectionUUID.description)
    var sequences = SequenceCheck()
    var damage: [StoreDamage] = []
    let present = Set(numbers)
    var replaced: Set<Int> = []
    for number in present.union(0..<((numbers.last ?? -1) + 1)).union(check.shards).sorted() {
      if replaced.contains(number) {
        if present.contains(number) {
          result.notes.append(
            "collection \(name): shard \(ShardIdentity.directoryName(number)) was replaced; removed "
              + "at the next start")
        }
        continue
      }
      // The catalog may not have seen yet that another shard stands in this one's place.
      let isKnown = !check.mayBeBehindCompaction(opener.firstRecord(number), ofShard: number)
      let catalogRowCount = isKnown ? check.rowCount(ofShard: number) : 0
      guard present.contains(number) else {
        damage.append(
          StoreDamage(
            collection: name, shard: number, rows: 0..<catalogRowCount,
            reason: "the shard is missing"))
        sequences.skip()
        continue
      }
      let shard = verifier.verify(
        number,
        evidence: ShardVerifier.Evidence(
          catalogRowCount: catalogRowCount,
          nextShardSequence: nextSequence(behind: number, numbers, opener)))
      if let denial = shard.denial { throw .disk(denial) }
      result.add(shard, of: name)
      replaced.formUnion(shard.replaced.filter { $0 != number })
      damage += shard.damage.map { found in
        StoreDamage(
          collection: name, shard: number, rows: found.rows, ids: found.ids, reason: found.reason)
      }
      if let reason = sequences.problem(of: shard) {
        damage.append(StoreDamage(collection: name, shard: number, reason: reason))
      }
      check.compare(shard, collection: name, &damage)
      identities.add(shard, of: opener)
    }
    if let file = identities.foreignCollectionFile(opener, name: name) { damage.append(file) }
    check.finish(collection: name, &damage)
    result.notes += check.notes.map { "collection \(name): \($0)" }
    result.damage += damage
  }

  /// The first sequence of the next shard that has one: records from there on were given up by a sync
  /// that failed.
  func nextSequence(behind number: Int, _ numbers: [Int], _ opener: ShardOpener) -> Int? {
    numbers.lazy.filter { $0 > number }.compactMap { opener.firstSequence($0) }.first
  }
}

extension StoreVerification {
  fileprivate mutating func add(_ shard: ShardVerification, of collection: String) {
    rowCount += shard.rowCount
    byteCount += shard.byteCount
    shardCount += 1
    batchCount += shard.batchCount
    notes += shard.notes.map { "collection \(collection): \($0)" }
  }
}

/// Whether store.json and collection.json are those of the shards: one that was put in another's place is whole,
/// and makes every shard look like another's.
private struct IdentityCheck {
  /// Of shards whose log is that of another shard.
  private var foreign: [StoreUUID: [ShardIdentity]] = [:]
  private var shardCounts: [StoreUUID: Int] = [:]
  private var store: StoreUUID?

  mutating func add(_ shard: ShardVerification, of opener: ShardOpener) {
    store = opener.store
    shardCounts[opener.collectionUUID, default: 0] += 1
    if let identity = shard.foreignIdentity {
      foreign[opener.collectionUUID, default: []].append(identity)
    }
  }

  func foreignCollectionFile(_ opener: ShardOpener, name: String) -> StoreDamage? {
    let identities = foreign[opener.collectionUUID] ?? []
    guard let first = identities.first, first.store == opener.store,
      first.collection != opener.collectionUUID,
      identities.count == shardCounts[opener.collectionUUID],
      identities.allSatisfy({ $0.collection == first.collection })
    else { return nil }
    return StoreDamage(
      collection: name,
      reason: "\(opener.collection.collectionFile) says that the collection is "
        + "\(opener.collectionUUID), and its shards are those of \(first.collection)")
  }

  var foreignStoreFile: StoreDamage? {
    let identities = foreign.values.joined()
    guard let store, let first = identities.first, first.store != store,
      identities.count == shardCounts.values.reduce(0, +),
      identities.allSatisfy({ $0.store == first.store })
    else { return nil }
    return StoreDamage(
      reason: "store.json says that the store is \(store), and all shards are those of "
        + "\(first.store)")
  }
}

/// Whether the batches of a collection are numbered through from shard to shard.
private struct SequenceCheck {
  /// Nil behind a shard whose end is not known.
  private var expected: Int? = 1

  /// A shard is missing, which is reported as such.
  mutating func skip() { expected = nil }

  mutating func problem(of shard: ShardVerification) -> String? {
    let rowsAtFault = shard.damage.map(\.rows).filter { !$0.isEmpty }
    let isStartKnown = !rowsAtFault.contains { $0.lowerBound == 0 && shard.rowsAreUnknown($0) }
    let isEndKnown =
      shard.isSealed
      || !rowsAtFault.contains { $0.upperBound == shard.rowCount && shard.rowsAreUnknown($0) }
    defer { expected = isEndKnown ? shard.lastSequence.map { $0 + 1 } : nil }
    guard let expected, isStartKnown, let first = shard.firstSequence, first != expected else {
      return nil
    }
    return first > expected
      ? "batches \(expected)..<\(first) are missing before its first row"
      : "its first batch has number \(first), expected \(expected): numbers are given out twice"
  }
}

extension ShardVerification {
  /// Whether no record that counts covers the first of some rows.
  fileprivate func rowsAreUnknown(_ rows: Range<Int>) -> Bool {
    !records.contains { $0.record.rows.contains(rows.lowerBound) }
  }
}
