// Rows that come back go into a store through the service, as batches of a server do: durable, and once.

import ArgumentParser
import Foundation
import IngestService
import Logging
import Salvage
import ShardStore
import SystemIO

/// What became of rows that were to be stored.
struct StoreOutcome {
  let root: String
  let collection: String
  /// Written now.
  var storedRowCount = 0
  /// Of batches that an earlier run had stored.
  var repeatedRowCount = 0
  /// Left out since their ids are there (`--on-conflict keep`).
  var skippedRowCount = 0
}

/// Owns the store while it takes rows.
final class StoreSalvageTarget: SalvageTarget {
  private let service: IngestService
  private let collection: Collection
  private let layout: SalvageLayout
  private let rule: ConflictRule
  /// What was there before; nil when nothing was.
  private let before: IDLookup?
  private var outcome: StoreOutcome
  private var conflicts: (count: Int, ids: [String]) = (0, [])
  private let progress = Monitor(Progress())

  private struct Progress {
    var inFlightBatchCount = 0
    var storedRowCount = 0
    var failure: IngestError?
  }

  private static let shownIDCount = 5

  init(
    root: String, configuration: ServiceConfiguration, collection name: String,
    layout: SalvageLayout, rule: ConflictRule
  ) throws {
    service = try IngestService.openForCommand(
      root: root, creates: true, configuration: configuration)
    do throws(IngestError) {
      collection = try service.createCollection(
        name, dimension: layout.dimension, dtype: layout.dtype
      ).collection
    } catch {
      service.close()
      guard case .collectionDiffers(let reason) = error else { throw Failure(error) }
      throw Failure(
        "\(reason), and the rows have \(layout.dimension) and \(layout.dtype.name); give another --collection",
        code: .inputUnusable)
    }
    let wasEmpty = collection.rowCount == 0 && collection.unusableShards.isEmpty
    before = wasEmpty ? nil : IDLookup(collection)
    self.layout = layout
    self.rule = rule
    outcome = StoreOutcome(root: root, collection: name)
  }

  // MARK: - Before the first row is written

  var looksFirst: Bool { rule == .error && before != nil }

  func look(_ rows: RecoveredRows) throws {
    guard let ids = rows.ids else { return }
    let there = places(of: ids, .served)
    guard !there.isEmpty, try !isStored(rows) else { return }
    conflicts.count += there.count
    conflicts.ids += there.prefix(Self.shownIDCount - conflicts.ids.count).map { ids.string($0) }
  }

  func endLook() throws {
    guard conflicts.count > 0 else { return }
    let shown = conflicts.ids.map { "'\($0)'" }.joined(separator: ", ")
    throw Failure(
      "\(conflicts.count) ids are in collection \(collection.name) already, such as \(shown); nothing was written; "
        + "choose --on-conflict keep or --on-conflict replace", code: .conflict)
  }

  /// What the collection had of an id.
  private enum Before { case served, damaged, absent }

  /// The places of the ids of which the collection had this.
  private func places(of ids: IDList, _ wanted: Before) -> [Int] {
    guard let findings = before?.find(ids) else { return [] }
    return findings.indices.filter {
      switch findings[$0] {
      case .row: wanted == .served
      case .damaged, .lost: wanted == .damaged
      case .deleted, .unknown: wanted == .absent
      }
    }
  }

  // MARK: - Rows

  func take(_ rows: RecoveredRows) throws {
    try throwFailure()
    guard let ids = rows.ids, ids.count > 0 else { return }
    if try before != nil && isStored(rows) {
      // What was damaged since is stored again, by the same file that it came from.
      let damaged = places(of: ids, .damaged)
      outcome.repeatedRowCount += ids.count - damaged.count
      if !damaged.isEmpty, let rest = rows.only(damaged) { try append(rest, nil) }
      return
    }
    let batchID = Self.batchID(rows)
    guard rule == .keep, before != nil else {
      try append(rows, batchID)
      return
    }
    let served = Set(places(of: ids, .served))
    outcome.skippedRowCount += served.count
    let rest = (0..<ids.count).filter { !served.contains($0) }
    if !rest.isEmpty, let rows = rows.only(rest) { try append(rows, batchID) }
  }

  /// - Parameter batchID: Nil for rows that are stored again, which is told from what became of them.
  private func append(_ rows: RecoveredRows, _ batchID: String?) throws {
    guard let ids = rows.ids else { return }
    let batch = unsafe Batch(
      ids: ids, dimension: layout.dimension, dtype: layout.dtype, rows: rows.bytes, bodySHA256: nil,
      owner: rows.owner)
    let permit: Admission.Permit
    do throws(IngestError) {
      permit = try service.admission.admit(byteCount: batch.byteCount)
    } catch {
      throw Failure(error)
    }
    progress.change { $0.inFlightBatchCount += 1 }
    service.append(batch, to: collection, batchID: batchID) { [progress] result in
      _ = permit
      progress.change { progress in
        progress.inFlightBatchCount -= 1
        switch result {
        case .success(let commit): progress.storedRowCount += commit.receipt.rows.count
        case .failure(let error): progress.failure = progress.failure ?? error
        }
      }
    }
  }

  func finish() throws -> SalvageOutcome {
    progress.wait { $0.inFlightBatchCount == 0 ? () : nil }
    try throwFailure()
    outcome.storedRowCount = progress.withLock { $0.storedRowCount }
    return .stored(outcome)
  }

  func close() {
    progress.wait { $0.inFlightBatchCount == 0 ? () : nil }
    service.close()
  }

  private func throwFailure() throws {
    if let error = progress.withLock({ $0.failure }) {
      throw Failure(error)
    }
  }

  // MARK: - Batch ids

  /// The same rows with the same ids always get the same batch id.
  private static func batchID(_ rows: RecoveredRows) -> String {
    let digest = unsafe (rows.ids?.bytes ?? []).withUnsafeBytes {
      unsafe XXH3.hash128($0, rows.bytes)
    }
    return "salvage-"
      + [digest.high, digest.low].map { half in
        let digits = String(half, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
      }.joined()
  }

  /// Whether an earlier run stored these rows.
  private func isStored(_ rows: RecoveredRows) throws -> Bool {
    do throws(IngestError) {
      return try service.receipt(Self.batchID(rows), in: collection) != nil
    } catch {
      throw Failure(error)
    }
  }
}
