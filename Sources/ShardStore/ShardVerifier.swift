// Reads everything of one shard and says what is damaged. Changes nothing. Format: docs/shard-format.md.
// Log and seal: ShardVerifier+Log.swift. Rows: ShardVerifier+Rows.swift. All shards: IngestService/StoreVerifier.swift.

package import SystemIO

/// What was found in one shard.
package struct ShardVerification: Sendable {
  package let number: Int
  package var rowCount = 0
  /// Bytes of all files of the shard.
  package var byteCount = 0
  package var isSealed = false
  package var lastSequence: Int?
  /// The shards that this one replaces, itself among them; empty for one that was not compacted.
  package var replaced: [Int] = []
  /// Where the last whole record ends.
  package var logEnd = 0
  /// The records that count, in order.
  package var records: [LogReader.Found] = []
  package var damage: [ShardDamage] = []
  package var notes: [String] = []
  /// Something was not read for want of a descriptor or of memory: what was found says nothing of the files.
  package var shortage: DiskError?
  /// A file that this user may not open: what was found says nothing of it.
  package var denial: DiskError?
  /// Whose log it is, when it is whole and another shard's.
  package var foreignIdentity: ShardIdentity?
  private var log = BytesInMemory(bytes: [])
  private var identity: ShardIdentity?

  package var firstSequence: Int? { records.first?.record.sequence }
  package var batchCount: Int { records.count }

  /// Of the first record that is whole, whatever its kind.
  package var firstRecordCRC32C: UInt32? {
    guard let identity, log.byteCount > 0 else { return nil }
    var reader = LogReader(log, identity: identity, range: 0..<log.byteCount)
    return (try? reader.next())?.record.recordCRC32C
  }

  /// The ids of a record, as commits.log keeps them.
  package func idBytes(of found: LogReader.Found) -> [UInt8] {
    LogReader.payload(of: found, in: log)
  }

  init(_ number: Int) { self.number = number }

  /// Keeps an error that is not the file's fault.
  mutating func note(_ error: DiskError) {
    if error.isShortage { shortage = error }
    if error.isDenied { denial = error }
  }

  mutating func keep(_ plan: RecoveryPlan, of log: BytesInMemory, _ identity: ShardIdentity) {
    self.log = log
    self.identity = identity
    records = plan.records
    replaced = plan.replaced
    rowCount = plan.rowCount
    logEnd = plan.logEnd
    lastSequence = records.last?.record.sequence
  }
}

/// Something that is not as it was written: the data's fault.
package struct ShardDamage: Equatable, Sendable {
  /// Counted within the shard; empty when no row is touched.
  package var rows: Range<Int>
  /// Of these rows; empty when their commit record is damaged.
  package var ids: [String] = []
  package var reason: String

  package init(rows: Range<Int> = 0..<0, ids: [String] = [], reason: String) {
    self.rows = rows
    self.ids = ids
    self.reason = reason
  }
}

/// Verifies the shards of one collection.
///
/// Files are read and not mapped: a sector that cannot be read is then an error that can be reported, and a
/// file that is cut meanwhile stops nothing.
package struct ShardVerifier {
  let opener: ShardOpener
  /// Told of bytes that were read.
  let progress: (_ byteCount: Int) -> Void

  package init(_ opener: ShardOpener, progress: @escaping (_ byteCount: Int) -> Void = { _ in }) {
    self.opener = opener
    self.progress = progress
  }

  /// What is known of a shard from elsewhere.
  package struct Evidence: Sendable {
    /// Rows that the catalog has seen committed; 0 without a catalog.
    package var catalogRowCount: Int
    /// First sequence of the next shard, when there is one.
    package var nextShardSequence: Int?
    /// What is durable of a shard that grows while it is verified; what is behind is not looked at.
    package var durable: (rowCount: Int, logEnd: Int)?

    package init(
      catalogRowCount: Int = 0, nextShardSequence: Int? = nil,
      durable: (rowCount: Int, logEnd: Int)? = nil
    ) {
      self.catalogRowCount = catalogRowCount
      self.nextShardSequence = nextShardSequence
      self.durable = durable
    }
  }

  /// Reads and checks everything of a shard.
  package func verify(_ number: Int, evidence: Evidence) -> ShardVerification {
    var result = ShardVerification(number)
    noteForeignFiles(&result)
    let rows = openRows(number, durableRowCount: evidence.durable?.rowCount)
    result.byteCount += rows.byteCount
    if let failure = rows.failure { result.note(failure) }
    let log: BytesInMemory
    do throws(DiskError) {
      log = try readLog(number, byteCountMax: evidence.durable?.logEnd ?? .max, &result)
    } catch {
      result.note(error)
      let rowCount = max(rows.header?.rowCount ?? 0, evidence.catalogRowCount)
      result.damage.append(
        ShardDamage(rows: 0..<rowCount, reason: "commits.log cannot be read: \(error)"))
      result.rowCount = rowCount
      return result
    }
    let contents = contents(number, log: log, rows: rows, evidence: evidence)
    result.keep(contents.plan, of: log, contents.identity)
    for damage in contents.plan.damage {
      result.damage.append(ShardDamage(rows: damage.rows, reason: damage.reason))
    }
    checkRecords(contents, &result)
    checkSeal(contents, isFollowed: evidence.nextShardSequence != nil, &result)
    if evidence.durable == nil || rows.header == nil {
      checkHeader(contents, rows: rows, &result)
    }
    guard case .whole = contents.seal else {
      checkRows(contents, rows: rows, &result)
      checkTail(contents, &result)
      return result
    }
    let index = ShardIndexCheck(opener: opener, number: number, contents: contents)
      .run(beside: { checkRows(contents, rows: rows, &result) })
    checkTail(contents, &result)
    result.byteCount += index.byteCount
    if let damage = index.damage { result.damage.append(damage) }
    if let note = index.note { result.notes.append(note) }
    if let shortage = index.shortage { result.shortage = shortage }
    return result
  }

  /// Counts what is in a shard without reading its sealed rows.
  package func list(_ number: Int, evidence: Evidence) throws(DiskError) -> ShardVerification {
    var result = ShardVerification(number)
    let rows = openRows(number, durableRowCount: nil)
    let log = try readLog(number, byteCountMax: .max, &result)
    result.byteCount += rows.byteCount
    let contents = contents(number, log: log, rows: rows, evidence: evidence)
    result.keep(contents.plan, of: log, contents.identity)
    if case .whole(let record, _) = contents.seal {
      result.isSealed = true
      result.lastSequence = record.sequence
    }
    return result
  }

  private func noteForeignFiles(_ result: inout ShardVerification) {
    let layout = opener.collection.shard(result.number)
    let known = [
      layout.embeddings, layout.log, layout.index, layout.newIndex, layout.newEmbeddings,
      layout.newLog,
    ]
    let names = (try? opener.disk.names(inDirectory: layout.root)) ?? []
    for path in names.map({ layout.root + "/" + $0 }) where !known.contains(path) {
      result.notes.append("\(path) is not Ingot's and is left alone")
    }
    if names.contains(where: { layout.root + "/" + $0 == layout.newIndex }) {
      result.notes.append("\(layout.newIndex) was left by an interrupted sealing")
    }
  }
}

// MARK: - What the files say

/// embeddings.npy, as far as it can be opened.
struct RowsFile {
  var file: (any DiskFile)?
  var byteCount = 0
  /// Nil when it is damaged.
  var header: ShardHeader?
  /// Why the file cannot be read.
  var failure: DiskError?
}

/// What commits.log says of a shard.
struct ShardContents {
  enum Seal {
    case none
    case whole(CommitRecord, SealTable)
    /// The log ends as only a sealed one does, and the seal record is not right.
    case damaged
  }

  let identity: ShardIdentity
  let geometry: ShardGeometry
  let log: BytesInMemory
  let seal: Seal
  let plan: RecoveryPlan
  /// The records that have rows.
  let batches: [LogReader.Found]

  init(
    identity: ShardIdentity, geometry: ShardGeometry, log: BytesInMemory, seal: Seal,
    plan: RecoveryPlan
  ) {
    self.identity = identity
    self.geometry = geometry
    self.log = log
    self.seal = seal
    self.plan = plan
    batches = plan.records.filter { !$0.record.rows.isEmpty }
  }
}

extension ShardVerifier {
  /// - Parameter durableRowCount: Rows behind these, of a shard that grows, are left out.
  private func openRows(_ number: Int, durableRowCount: Int?) -> RowsFile {
    var rows = RowsFile()
    do throws(DiskError) {
      let file = try opener.disk.openFile(opener.collection.shard(number).embeddings, for: .read)
      rows.file = file
      rows.byteCount = try file.byteCount()
      rows.header = ShardHeader(
        try file.read(offset: 0, byteCount: ShardHeader.byteCount),
        dimension: opener.geometry.dimension, dtype: opener.geometry.dtype)
      if let durableRowCount {
        rows.byteCount = min(rows.byteCount, opener.geometry.offset(ofRow: durableRowCount))
        if let found = rows.header?.rowCount { rows.header?.rowCount = min(found, durableRowCount) }
      }
    } catch {
      rows.failure = error
    }
    return rows
  }

  private func contents(
    _ number: Int, log: BytesInMemory, rows: RowsFile, evidence: Evidence
  ) -> ShardContents {
    let identity = opener.identity(number)
    let whole = Self.wholeSeal(log, identity: identity)
    let plan = RecoveryPlan(
      log: log, logByteCount: whole.map { log.byteCount - $0.record.byteCount } ?? log.byteCount,
      identity: identity,
      evidence: RecoveryPlan.Evidence(
        headerRowCount: whole.map(\.record.rowCount) ?? rows.header?.rowCount,
        catalogRowCount: evidence.catalogRowCount,
        nextShardSequence: whole == nil ? evidence.nextShardSequence : nil)
    ) { record in
      crc32c(ofRows: record.rows, in: rows) == record.rowsCRC32C
    }
    let seal: ShardContents.Seal =
      if let whole { .whole(whole.record, whole.table) } else {
        Self.claimsSeal(log, logEnd: plan.logEnd) ? .damaged : .none
      }
    return ShardContents(
      identity: identity, geometry: opener.geometry, log: log, seal: seal, plan: plan)
  }

  private func checkHeader(
    _ contents: ShardContents, rows: RowsFile, _ result: inout ShardVerification
  ) {
    if let failure = rows.failure {
      result.damage.append(ShardDamage(reason: "embeddings.npy cannot be read: \(failure)"))
      return
    }
    guard let header = rows.header else {
      result.damage.append(ShardDamage(reason: "the header of embeddings.npy is damaged"))
      return
    }
    guard header.rowCount != contents.plan.rowCount else { return }
    let text =
      "the header of embeddings.npy says \(header.rowCount) rows, expected "
      + "\(contents.plan.rowCount)"
    if case .none = contents.seal {
      result.notes.append("\(shardName(result.number)): \(text); advanced at the next start")
    } else {
      result.damage.append(ShardDamage(reason: text))
    }
  }

  func shardName(_ number: Int) -> String {
    "shard \(ShardIdentity.directoryName(number))"
  }
}
