// The ids of live rows, read from the logs in the order of the rows. Used by ExportStream.swift.

package import ShardStore
internal import SystemIO

/// Goes through the ids of live rows, one by one. Memory holds one batch of ids.
package struct LiveRowIDs {
  private let live: LiveRows
  private var part = 0
  private var reader: LogReader?
  /// Rows of the part whose ids were handed out or passed.
  private var row = 0
  /// The ids of the record that `row` is in.
  private var list: IDList?
  private var listRows = 0..<0

  package init(_ live: LiveRows) { self.live = live }

  /// Lends the next id.
  ///
  /// - Returns: false at the end.
  /// - Throws: when the record that names live rows cannot be read. The rows are then out of service.
  package mutating func next(_ take: (ArraySlice<UInt8>) -> Void) throws(RowDamaged) -> Bool {
    while part < live.parts.count {
      let rows = live.parts[part]
      if let list, listRows.contains(row) {
        guard let run = rows.run(from: row, countMax: 1), listRows.contains(run.lowerBound) else {
          row = listRows.upperBound
          continue
        }
        take(list[run.lowerBound - listRows.lowerBound])
        row = run.upperBound
        return true
      }
      if try !readRecord(of: rows) {
        part += 1
        (reader, row, list) = (nil, 0, nil)
      }
    }
    return false
  }

  /// Reads the next record that has rows.
  ///
  /// - Returns: false at the end of the part.
  private mutating func readRecord(of rows: LiveRows.Part) throws(RowDamaged) -> Bool {
    list = nil
    while true {
      guard let found = nextRecord(of: rows.shard) else {
        try requireNoLiveRow(of: rows, before: rows.rowCount)
        return false
      }
      let record = found.record
      guard [.batch, .compacted].contains(record.kind), record.firstRow >= row,
        let ids = IDList(payload: rows.shard.idBytes(of: found), of: record),
        ids.count == record.rows.count
      else { continue }
      try requireNoLiveRow(of: rows, before: min(record.firstRow, rows.rowCount))
      guard record.firstRow < rows.rowCount else { return false }
      list = ids
      listRows = record.firstRow..<min(record.rows.upperBound, rows.rowCount)
      row = record.firstRow
      return true
    }
  }

  private mutating func nextRecord(of shard: Shard) -> LogReader.Found? {
    var records = reader ?? shard.logReader(from: 0)
    defer { reader = records }
    while true {
      do throws(CommitRecord.Problem) { return try records.next() } catch {
        guard records.skipDamage() else { return nil }
      }
    }
  }

  /// Every live row has an id; where none was read, its record is damaged.
  private func requireNoLiveRow(
    of rows: LiveRows.Part, before end: Int
  ) throws(RowDamaged) {
    guard row < end, let run = rows.run(from: row, countMax: end - row), run.lowerBound < end
    else { return }
    let damage = Damage(rows: row..<end, reason: "the commit record of their ids cannot be read")
    rows.shard.quarantine([damage])
    throw RowDamaged(
      shard: rows.shard.identity.number, rows: damage.rows, reason: damage.reason)
  }
}
