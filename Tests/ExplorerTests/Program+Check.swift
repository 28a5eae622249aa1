// What a start finds is compared with the model, then the rest of the steps is taken, and compared again.

import DiskSimulation
import ShardStore
import SystemIO

@testable import IngestService

extension Program {
  /// Runs until the end, without looking.
  func run(_ fault: Fault? = nil) {
    if let fault { install(fault) }
    if collection == nil { _ = reopen() }
    takeSteps()
    disk.setFault(nil)
  }

  /// Goes on until everything is done.
  ///
  /// - Returns: what is not as it must be.
  func check() -> [String] {
    var problems: [String] = []
    if collection == nil { problems += recover() }
    guard collection != nil else { return problems }
    let failed = takeSteps()
    if !failed.isEmpty { problems.append("steps \(failed) failed afterwards") }
    // Went on without a shard: the next start finds it.
    if collection?.unusableShards.isEmpty == false { problems += recover() }
    guard let collection else { return problems }
    problems += model.problems(Contents(of: collection, workload))
    let missing = workload.batches.indices.filter(model.isMissing)
    if !missing.isEmpty { problems.append("changes \(missing) are not there in the end") }
    for shard in collection.shards {
      for damage in unexpectedDamage(verify(shard)) {
        problems.append("shard \(shard.identity.number) in the end: \(damage)")
      }
    }
    return problems
  }

  /// Opens what is there, and compares it with what must be.
  private func recover() -> [String] {
    var problems = workload.hasDecay ? [] : damageBeforeRecovery()
    do { try open() } catch { return problems + ["not opened: \(error)"] }
    guard let collection else { return problems }
    let unusable = collection.unusableShards
    if !unusable.isEmpty { problems.append("P6: unusable \(unusable)") }
    let contents = Contents(of: collection, workload)
    problems += model.problems(contents)
    noteRecovered(contents, collection)
    return problems
  }

  /// What the verifier finds before anything is recovered: what is only torn is no damage.
  private func damageBeforeRecovery() -> [String] {
    guard (try? disk.kind(of: opener.collection.shards)) == .directory else { return [] }
    let numbers = ((try? disk.names(inDirectory: opener.collection.shards)) ?? []).compactMap(
      ShardIdentity.number(ofDirectoryName:))
    return numbers.flatMap { number in
      let next = numbers.first { $0 > number }.flatMap { opener.firstSequence($0) }
      let found = ShardVerifier(opener).verify(number, evidence: .init(nextShardSequence: next))
      // A seal that did not wholly arrive looks like one that was damaged later, and must be named.
      return found.damage.filter { !$0.reason.hasPrefix("the seal record is damaged") }.map {
        "P5: shard \(number) is called damaged: \($0.reason)"
      }
    }
  }
}
