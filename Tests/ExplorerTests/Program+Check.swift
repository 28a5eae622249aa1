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
    var failed = takeSteps()
    // Went on without a shard or rows that could not be read: the next start finds them.
    if collection?.unusableShards.isEmpty == false || hasDamage {
      problems += recover()
      failed = takeSteps()
    }
    if !failed.isEmpty { problems.append("steps \(failed) failed afterwards") }
    guard let collection else { return problems }
    problems += model.problems(Contents(of: collection, workload))
    let missing = workload.batches.indices.filter(model.isMissing)
    if !missing.isEmpty { problems.append("changes \(missing) are not there in the end") }
    // A repair whose name was lost with the power is made again by the next scrub.
    if workload.decaysHeaders { _ = scrub(collection) }
    for shard in collection.shards {
      for damage in unexpectedDamage(verify(shard)) {
        problems.append("shard \(shard.identity.number) in the end: \(damage)")
      }
    }
    return problems
  }

  private var hasDamage: Bool {
    collection?.shards.contains { !$0.summary.damage.isEmpty } ?? false
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
    problems += missingOriginals()
    noteRecovered(contents, collection)
    return problems
  }

  /// What the verifier finds before anything is recovered: what is only torn is no damage.
  private func damageBeforeRecovery() -> [String] {
    guard (try? disk.kind(of: opener.collection.shards)) == .directory else { return [] }
    let numbers = ((try? disk.names(inDirectory: opener.collection.shards)) ?? []).compactMap(
      ShardIdentity.number(ofDirectoryName:))
    return numbers.flatMap { number in
      if let problem = headerProblem(number) { return [problem] }
      let next = numbers.first { $0 > number }.flatMap { opener.firstSequence($0) }
      let found = ShardVerifier(opener).verify(number, evidence: .init(nextShardSequence: next))
      // A seal that did not wholly arrive looks like one that was damaged later, and must be named.
      return found.damage.filter { !$0.reason.hasPrefix("the seal record is damaged") }.map {
        "P5: shard \(number) is called damaged: \($0.reason)"
      }
    }
  }
  /// Whoever reads the file with NumPy sees the rows of a shard that has a name.
  private func headerProblem(_ number: Int) -> String? {
    guard let first = opener.firstRecord(number), first.kind == .batch else { return nil }
    let path = opener.collection.shard(number).embeddings
    let bytes = try? disk.openFile(path, for: .read)
      .read(offset: 0, byteCount: ShardHeader.byteCount)
    let header = bytes.flatMap {
      ShardHeader($0, dimension: Workload.dimension, dtype: .float32)
    }
    if header?.rowCount ?? 0 > 0 { return nil }
    return "P12: shard \(number) is visible, and its header says \(header?.rowCount ?? -1) rows"
  }

  /// What a scrub replaced is kept as it was found.
  private func missingOriginals() -> [String] {
    let scrubs = workload.steps.indices.filter {
      if case .scrub = workload.steps[$0] { model.finishedSteps.contains($0) } else { false }
    }
    // Damaged rows stay where they are, and an index is made again by whoever looks for an id first.
    guard model.isDecayed, !scrubs.isEmpty, workload.decaysHeaders else { return [] }
    let layout = Workload.layout
    let notes = quarantine.notes(collectionUUID: Workload.collectionUUID.description)
    guard notes.contains(where: { $0.kept.count == 3 || $0.notKept != nil }) else {
      return ["P5: no note of the damage is in quarantine"]
    }
    let folders = (try? disk.names(inDirectory: layout.quarantine)) ?? []
    return folders.flatMap { folder in
      let note = QuarantineNote.read("\(layout.quarantine)/\(folder)/note.json", disk: disk)
      return (note?.kept ?? []).filter { name in
        let file = try? disk.openFile("\(layout.quarantine)/\(folder)/\(name)", for: .read)
        let bytes = try? file?.read(offset: 0, byteCount: file?.byteCount() ?? 0)
        return bytes?.allSatisfy { $0 == 0 } ?? true
      }.map { "P5: \($0) is not kept whole in \(folder)" }
    }
  }
}
