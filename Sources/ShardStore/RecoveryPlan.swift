// Decides what an open shard holds after a crash. No effects: those are in ShardRecovery.swift.
// The rules: docs/shard-format.md "Recovery".

package import SystemIO

/// What to keep of an open shard, what to cut, and what is damaged.
package struct RecoveryPlan: Sendable {
  /// The records that count, in order.
  package private(set) var records: [LogReader.Found] = []
  /// Rows that the kept records and the watermark cover.
  package private(set) var rowCount = 0
  /// Where the next record would go.
  package private(set) var logEnd = 0
  /// The shards that this one replaces, itself among them; empty for one that was not compacted.
  package private(set) var replaced: [Int] = []
  /// Rows that were known to be durable before recovery.
  package private(set) var watermark = 0
  package private(set) var damage: [Damage] = []
  /// It follows from the log, and is written again.
  package private(set) var headerIsDamaged = false
  /// Why something behind the watermark was cut; nil when nothing was.
  package private(set) var tornTail: String?
}

/// Rows that were acknowledged and cannot be served: the data's fault.
package struct Damage: Equatable, Sendable {
  /// Counted within the shard; empty where a deletion is damaged.
  package var rows: Range<Int>
  package var reason: String

  package init(rows: Range<Int>, reason: String) {
    self.rows = rows
    self.reason = reason
  }
}

extension [Damage] {
  /// Rows that are in one of them or in several: a batch and a block that overlap are found by different checks.
  package var rowCount: Int {
    var end = 0
    return map(\.rows).sorted { $0.lowerBound < $1.lowerBound }.reduce(0) { count, rows in
      defer { end = Swift.max(end, rows.upperBound) }
      return count + Swift.max(0, rows.upperBound - Swift.max(end, rows.lowerBound))
    }
  }
}

extension RecoveryPlan {
  /// What is known of a shard from outside its log.
  package struct Evidence: Sendable {
    /// Row count in the header of embeddings.npy; nil when the header is damaged.
    package var headerRowCount: Int?
    /// Rows that the catalog has seen committed; 0 without a catalog.
    package var catalogRowCount: Int
    /// First sequence of the next shard, when there is one.
    package var nextShardSequence: Int?

    package init(headerRowCount: Int?, catalogRowCount: Int, nextShardSequence: Int?) {
      self.headerRowCount = headerRowCount
      self.catalogRowCount = catalogRowCount
      self.nextShardSequence = nextShardSequence
    }
  }

  /// Reads the log and decides.
  ///
  /// - Parameters:
  ///   - log: commits.log; `logByteCount` bytes of it.
  ///   - rowsAreRight: Whether the rows of a record match its checksum; asked only above the watermark.
  package init(
    log: any DiskMapping, logByteCount: Int, identity: ShardIdentity, evidence: Evidence,
    rowsAreRight: (CommitRecord) -> Bool
  ) {
    let found = Self.recordsAndGaps(
      log: log, logByteCount: logByteCount, identity: identity,
      sequenceEnd: evidence.nextShardSequence ?? .max)
    let durableRowCount = max(
      evidence.catalogRowCount, found.records.map(\.record.durableRowCount).max() ?? 0)
    // A header is written in one sector, so a crash does not damage it. Where it was lost, nothing says which
    // of the last batches were acknowledged, and all that are recorded count as if they were.
    let headerRowCount =
      evidence.headerRowCount ?? found.records.map(\.record.rows.upperBound).max() ?? 0
    watermark = max(headerRowCount, durableRowCount)
    headerIsDamaged = evidence.headerRowCount == nil
    replaced = found.replaced
    var next = 0
    for item in found.records {
      let rows = item.record.rows
      if rows.lowerBound > next {
        // Behind the watermark only an unbroken row of whole records counts.
        guard rows.lowerBound <= watermark else {
          tornTail = "records behind a damaged one that was never acknowledged"
          break
        }
        damage.append(
          Damage(rows: next..<rows.lowerBound, reason: "their commit record is damaged"))
      } else if let last = records.last, item.record.sequence > last.record.sequence + 1 {
        // Nothing is written behind a deletion before it is durable.
        damage.append(
          Damage(rows: next..<next, reason: "the commit record of a deletion is damaged"))
      }
      if rows.upperBound > watermark, !rowsAreRight(item.record) {
        tornTail = "the rows of batch \(item.record.sequence) did not all reach the disk"
        break
      }
      records.append(item)
      next = rows.upperBound
      logEnd = item.end
    }
    if next < watermark {
      let reason =
        durableRowCount < watermark
        ? "the header of embeddings.npy counts them, and commits.log has no record of them"
        : "their commit record is damaged"
      damage.append(Damage(rows: next..<watermark, reason: reason))
    }
    if tornTail == nil, let gap = found.firstGap, gap >= logEnd, !found.endsInZeros {
      tornTail = "the last commit record did not wholly reach the disk"
    }
    rowCount = max(next, watermark)
  }

  private struct Scan {
    var records: [LogReader.Found] = []
    var firstGap: Int?
    var endsInZeros = true
    var replaced: [Int] = []
  }

  /// All records that are whole and fit behind one another; the chain may be broken by damage.
  private static func recordsAndGaps(
    log: any DiskMapping, logByteCount: Int, identity: ShardIdentity, sequenceEnd: Int
  ) -> Scan {
    var scan = Scan()
    var reader = LogReader(log, identity: identity, range: 0..<logByteCount)
    var chain: UInt32? = identity.seed
    var row = 0
    var sequence = 0
    while true {
      do throws(CommitRecord.Problem) {
        guard let next = try reader.next() else { break }
        let record = next.record
        // A seal that was not finished: the shard is sealed again.
        if record.kind == .seal { break }
        if record.sequence >= sequenceEnd {
          scan.firstGap = scan.firstGap ?? next.offset
          scan.endsInZeros = false
          break
        }
        let isFirst = scan.records.isEmpty && scan.replaced.isEmpty
        let fits =
          record.hasRightRowCount && (record.kind != .replacement || isFirst)
          && record.firstRow >= row
          && record.sequence > sequence
          && (chain == nil || (record.previousCRC32C == chain && record.firstRow == row))
        guard fits else {
          // Whole and out of its place, as an older block that was put back: damage like any other.
          scan.firstGap = scan.firstGap ?? next.offset
          scan.endsInZeros = false
          chain = nil
          continue
        }
        if record.kind == .replacement {
          scan.replaced = LogReader.replacedShards(next, in: log)
          chain = record.recordCRC32C
          continue
        }
        scan.records.append(next)
        chain = record.recordCRC32C
        row = record.rows.upperBound
        sequence = record.sequence
      } catch {
        scan.firstGap = scan.firstGap ?? reader.offset
        if reader.restIsZero() { break }
        scan.endsInZeros = false
        chain = nil
        guard reader.skipDamage() else { break }
      }
    }
    return scan
  }
}

extension CommitRecord {
  /// Batches have rows; deletions and the naming of replaced shards have none.
  fileprivate var hasRightRowCount: Bool {
    switch kind {
    case .batch: rowCount > 0
    case .deletion, .replacement: rowCount == 0
    case .compacted: true
    case .seal: false
    }
  }
}
