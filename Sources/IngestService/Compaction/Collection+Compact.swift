// Compaction of one collection: its candidates, and one group of them. Which and when: CompactionPlan.swift, Compactor.swift.

package import ShardStore
internal import Synchronization
package import SystemIO

extension Collection {
  /// What is to be written anew.
  ///
  /// - Parameter deadPercent: The share of dead rows from which on a shard is.
  package func compactionPlan(_ live: LiveRows, deadPercent: Int) -> CompactionPlan {
    CompactionPlan(
      compactionCandidates(live),
      rules: CompactionPlan.Rules(
        deadPercent: deadPercent, rowCapacity: opener.geometry.rowCapacity,
        logByteCountMax: ShardGeometry.logByteCountMax))
  }

  /// Every shard number that there is or was, so that nothing is put together across one that is lost.
  private func compactionCandidates(_ live: LiveRows) -> [CompactionPlan.Candidate] {
    let lost = lostIDs
    var candidates = live.parts.map { part in
      let summary = part.shard.summary
      let isClosed = summary.isSealed || (!summary.damage.isEmpty && isFinished(part.shard))
      return CompactionPlan.Candidate(
        number: summary.number, rowCount: summary.rowCount, liveRowCount: part.liveRowCount,
        logByteCount: summary.logEnd,
        isCompactable: isClosed && part.damagedRowCount == 0 && lost[summary.number] == nil)
    }
    for number in unusableShards.keys {
      candidates.append(
        CompactionPlan.Candidate(
          number: number, rowCount: 0, liveRowCount: 0, logByteCount: 0, isCompactable: false))
    }
    return candidates.sorted { $0.number < $1.number }
  }

  /// Writes the live rows of some shards into one that takes their place.
  ///
  /// - Parameters:
  ///   - parts: in the order of their numbers, none of them growing, none with a live row that is damaged.
  ///   - progress: Told of bytes that were copied; false stops.
  ///   - replaced: Called when the new shard counts, before the old ones are removed.
  /// - Returns: the new shard, and why old ones could not be removed.
  package func compact(
    _ parts: [LiveRows.Part], progress: @escaping (_ byteCount: Int) -> Bool,
    replaced: (Shard) -> Void
  ) throws(CompactionFailure) -> (shard: Shard, left: DiskError?) {
    let compactor = ShardCompactor(
      parts.map { part in
        ShardCompactor.Source(part.shard) { part.run(from: $0, countMax: $1) }
      }, opener: opener, progress: progress)
    try compactor.write()
    let outcome = places.withLock { _ -> Result<Shard, CompactionFailure> in
      do throws(CompactionFailure) {
        let shard = try compactor.replace()
        replace(parts.map(\.shard.identity.number), by: shard)
        replaced(shard)
        return .success(shard)
      } catch {
        return .failure(error)
      }
    }
    let shard = try outcome.get()
    do throws(DiskError) { try compactor.removeSources() } catch { return (shard, error) }
    return (shard, nil)
  }

  /// Who looks from now on sees the new shard; who has an old one goes on with it.
  private func replace(_ numbers: [Int], by shard: Shard) {
    listen(to: shard)
    shardList.withLock { shards in
      shards.removeAll { numbers.contains($0.identity.number) }
      shards.append(shard)
      shards.sort { $0.identity.number < $1.identity.number }
    }
  }
}
