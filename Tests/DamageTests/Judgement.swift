// Whether a verification named what was damaged, all of it and nothing else.

import IngestService
import ShardStore

/// How damage was reported.
enum Judgement: Equatable {
  /// As damage of exactly the batches that were touched, or of a file that holds no rows.
  case damage
  /// As a header that is behind, or a seal that is missing: both are also what a crash leaves.
  case note
  /// As a torn tail, by a byte behind the last row or record.
  case tornTail
  /// Not at all.
  case nothing
  /// Reported, and something is wrong about it.
  case wrong(String)
}

extension StoreMap {
  func judge(_ found: StoreVerification, _ touched: Touched) -> Judgement {
    if found.damage.isEmpty, found.notes.isEmpty { return .nothing }
    let isStoreLost = touched.files.contains("store.json")
    let isCollectionLost = touched.files.contains { $0.hasPrefix("collections/") }
    for path in touched.files where !isStoreLost || path == "store.json" {
      // What the catalog says of a collection that cannot be opened is not compared.
      if isCollectionLost, path == "catalog.sqlite" { continue }
      guard names(path, found) else { return .wrong("\(path) is not named") }
    }
    if let problem = misplacedRows(found, touched) { return .wrong(problem) }
    for (key, batches) in touched.batches where isCheckable(key, touched) {
      let entries = found.damage.filter {
        $0.collection == key.collection && $0.shard == key.number
      }
      let noted = found.notes.contains {
        $0.contains("collection \(key.collection)")
          && $0.contains(ShardIdentity.directoryName(key.number))
      }
      if entries.isEmpty, !batches.isEmpty { return .wrong("\(key) has damaged batches unnamed") }
      guard !entries.isEmpty || noted else { return .wrong("\(key) is not named") }
    }
    guard found.damage.isEmpty else { return .damage }
    let isTorn = found.notes.allSatisfy { $0.contains("torn tail") }
    guard isTorn == touched.isTailOnly else {
      return .wrong("a torn tail is \(isTorn ? "" : "not ")reported: \(found.notes)")
    }
    return isTorn ? .tornTail : .note
  }

  /// Without its description, nothing of a store or of a collection can be checked; with another's, all of it is
  /// another's.
  private func isCheckable(_ key: ShardKey, _ touched: Touched) -> Bool {
    !touched.files.contains("store.json")
      && !touched.files.contains("collections/\(key.collection)/collection.json")
  }

  /// Rows and ids that are named and not touched, or touched and not named.
  private func misplacedRows(_ found: StoreVerification, _ touched: Touched) -> String? {
    var reported: [ShardKey: (rows: Set<Int>, ids: [String])] = [:]
    for entry in found.damage where !entry.rows.isEmpty || !entry.ids.isEmpty {
      guard let collection = entry.collection, let shard = entry.shard else {
        // The catalog knows a collection that is not there when it, or the description, is another's.
        if touched.files.contains(where: { !$0.hasPrefix("collections/") || $0.hasSuffix(".json") })
        {
          continue
        }
        return "rows without a shard are named: \(entry.reason)"
      }
      let key = ShardKey(collection: collection, number: shard)
      var rows = Set(entry.rows)
      // A header that says too much claims rows that never were; no other rows may be blamed.
      if touched.headers.contains(key) { rows = rows.filter { $0 < shards[key]?.rowCount ?? 0 } }
      reported[key, default: ([], [])].rows.formUnion(rows)
      reported[key, default: ([], [])].ids += entry.ids
    }
    for key in Set(reported.keys).union(touched.batches.keys)
    where isCheckable(key, touched) {
      let indices = (touched.batches[key] ?? []).filter { index in
        // A whole record that only lies elsewhere says what its rows are.
        guard let batch = shards[key]?.batches[index] else { return false }
        return !(touched.displaced[key]?.contains(index) ?? false)
          || !(reported[key]?.rows.isDisjoint(with: batch.rows) ?? true)
      }
      let batches = indices.compactMap { shards[key]?.batches[$0] }
      let rows = Set(batches.flatMap(\.rows))
      let (foundRows, foundIDs) = reported[key] ?? ([], [])
      guard rows == foundRows else {
        return
          "\(key): \(foundRows.count) rows from \(foundRows.min() ?? -1) on are named, expected "
          + "\(rows.count) from \(rows.min() ?? -1) on"
      }
      let ids = batches.flatMap(\.ids)
      // The ids of a damaged record are known from the catalog, if from anywhere.
      let isRight =
        touched.files.contains("catalog.sqlite")
        ? Set(foundIDs).isSubset(of: ids) : foundIDs.sorted() == ids.sorted()
      guard isRight else {
        return "\(key): ids \(foundIDs.prefix(9)) are named, expected others"
      }
    }
    return nil
  }

  private func names(_ path: String, _ found: StoreVerification) -> Bool {
    let file = path.hasPrefix("catalog.sqlite") ? "catalog.sqlite" : path
    return found.damage.contains { $0.reason.contains(file) }
      || found.notes.contains { $0.contains(file) }
  }
}
