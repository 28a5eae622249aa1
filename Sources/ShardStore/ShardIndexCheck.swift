// ids.index under verification: compared with what the log says it must be. Part of ShardVerifier.swift; done on a
// thread of its own while the rows are read, since sorting the ids of a shard takes as long as reading a part of it.

internal import SystemIO

struct ShardIndexCheck: Sendable {
  let opener: ShardOpener
  let number: Int
  let contents: ShardContents

  struct Outcome: Sendable {
    var byteCount = 0
    var damage: ShardDamage?
    var note: String?
    var shortage: DiskError?
  }

  /// Ids whose check is worth a thread.
  private static let threadRowCountMin = 4096

  /// Runs `body`, and the check beside it.
  func run(beside body: () -> Void) -> Outcome {
    guard contents.plan.rowCount >= Self.threadRowCountMin else {
      body()
      return run()
    }
    let outcome = Monitor<Outcome?>(nil)
    let thread = NamedThread("ingot-index") {
      let found = run()
      outcome.change { $0 = found }
    }
    body()
    thread.join()
    return outcome.withLock { $0 } ?? Outcome()
  }

  private func run() -> Outcome {
    let path = opener.collection.shard(number).index
    var outcome = Outcome()
    guard contents.plan.damage.isEmpty else {
      outcome.note = "\(path) cannot be compared with a damaged log"
      return outcome
    }
    do throws(DiskError) {
      guard try opener.disk.kind(of: path) != nil else {
        outcome.note = "\(path) is missing and will be made again when it is needed"
        return outcome
      }
      let file = try opener.disk.openFile(path, for: .read)
      outcome.byteCount = try file.byteCount()
      let expected = SealedIDIndex.encoded(entries, identity: contents.identity)
      if outcome.byteCount != expected.count {
        outcome.damage = ShardDamage(
          reason: "ids.index has \(outcome.byteCount) bytes, expected \(expected.count)")
      } else if try file.read(offset: 0, byteCount: outcome.byteCount) != expected {
        outcome.damage = ShardDamage(
          reason: "ids.index differs from the log; it can be removed and is made again")
      }
    } catch {
      if error.isShortage { outcome.shortage = error }
      outcome.damage = ShardDamage(reason: "ids.index cannot be read: \(error)")
    }
    return outcome
  }

  private var entries: [IDIndexEntry] {
    var entries: [IDIndexEntry] = []
    entries.reserveCapacity(contents.plan.rowCount)
    for found in contents.plan.records {
      // Malformed ids were reported with their record.
      _ = Shard.append(found, of: contents.log, identity: contents.identity, to: &entries)
    }
    return entries.sortedByHash()
  }
}
