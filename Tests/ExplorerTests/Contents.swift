// What a collection says that it holds, every served row compared bit by bit with what was sent.

import IngestService
import ShardStore
import SystemIO

@testable import IngestService

struct Contents {
  /// Changes by their sequences.
  private(set) var commits: [Int] = []
  private(set) var receipts: [Int: Receipt] = [:]
  private(set) var rows: [String: Workload.Place] = [:]
  /// Ids that are stored and not served.
  private(set) var refused: Set<String> = []
  private(set) var problems: [String] = []

  init(of collection: Collection, _ workload: Workload) {
    readLogs(collection)
    for id in workload.ids { read(id, collection, workload) }
    compareLists(collection)
  }

  /// Only what the logs say.
  init(logsOf collection: Collection) { readLogs(collection) }

  private mutating func readLogs(_ collection: Collection) {
    var last = 0
    for shard in collection.shards {
      for found in shard.readableRecords {
        let record = found.record
        guard let change = Workload.change(record.batchID) else {
          problems.append("a record of nobody: \(record.batchID)")
          continue
        }
        if record.sequence <= last { problems.append("sequence \(record.sequence) after \(last)") }
        last = record.sequence
        commits.append(change)
        receipts[change] = Receipt(
          record, shard: shard.identity.number, collection: collection.name)
      }
    }
  }

  private mutating func read(_ id: String, _ collection: Collection, _ workload: Workload) {
    switch collection.find(Array(id.utf8)) {
    case .damaged, .lost: refused.insert(id)
    case .deleted, .unknown: break
    case .row(let shard, let row):
      do {
        try shard.withRows(row..<(row + 1)) { bytes in
          let place = Workload.Place(bytes)
          if workload.holds(place, bytes) {
            rows[id] = place
          } else {
            problems.append("P4: \(id) is served with wrong bytes")
          }
        }
      } catch {
        refused.insert(id)
      }
    }
  }

  private mutating func compareLists(_ collection: Collection) {
    var ids = LiveIDs(collection)
    var listed: Set<String> = []
    while let id = ids.next() { listed.insert(String(decoding: id, as: UTF8.self)) }
    let stored = Set(rows.keys).union(refused)
    if listed != stored { problems.append("listed are \(listed), found \(stored)") }
    if refused.isEmpty, LiveRows(collection).rowCount != rows.count {
      problems.append("the count of live rows differs")
    }
  }
}

extension Workload.Place {
  /// Where a row says that it comes from.
  fileprivate init(_ bytes: UnsafeRawBufferPointer) {
    let first = bytes.loadUnaligned(as: Float.self)
    let number = first >= 1 && first < 16_777_216 ? Int(first) - 1 : 0
    self.init(change: number / 8192, row: number % 8192 / Workload.dimension)
  }
}

extension Workload {
  /// Whether these are the bytes of that row.
  fileprivate func holds(_ place: Place, _ bytes: UnsafeRawBufferPointer) -> Bool {
    let byteCount = Self.dimension * 4
    guard batches.indices.contains(place.change),
      (place.row + 1) * byteCount <= batches[place.change].rows.count
    else { return false }
    let sent = batches[place.change].rows[(place.row * byteCount)..<((place.row + 1) * byteCount)]
    return bytes.elementsEqual(sent)
  }
}
