// ids.index under verification: compared with what the log says it must be. Part of ShardVerifier.swift; done on a
// thread of its own while the rows are read, since hashing the ids of a shard takes as long as reading a part of it.

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
    let thread = NamedThread(ifPossible: "ingot-index") {
      let found = run()
      outcome.change { $0 = found }
    }
    body()
    thread?.join()
    return outcome.withLock { $0 } ?? run()
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
      let expected = expectedSum()
      let expectedByteCount =
        SealedIDIndex.Layout.entries + expected.count * IDIndexEntry.byteCount
      if outcome.byteCount != expectedByteCount {
        outcome.damage = ShardDamage(
          reason: "ids.index has \(outcome.byteCount) bytes, expected \(expectedByteCount)")
      } else if try sum(of: file, byteCount: outcome.byteCount) != expected {
        outcome.damage = ShardDamage(
          reason: "ids.index differs from the log; it can be removed and is made again")
      }
    } catch {
      if error.isShortage { outcome.shortage = error }
      outcome.damage = ShardDamage(reason: "ids.index cannot be read: \(error)")
    }
    return outcome
  }

  /// What the log says.
  private func expectedSum() -> EntrySum {
    var sum = EntrySum()
    for found in contents.plan.records {
      // Malformed ids were reported with their record.
      _ = Shard.forEachEntry(found, of: contents.log, identity: contents.identity) { sum.add($0) }
    }
    return sum
  }

  /// What the file says; nil when it is damaged or its entries are not in their order.
  private func sum(of file: any DiskFile, byteCount: Int) throws(DiskError) -> EntrySum? {
    guard
      let header = try SealedIDIndex.Header(file, byteCount: byteCount, identity: contents.identity)
    else { return nil }
    var sum = EntrySum()
    var checksum = contents.identity.seed
    var last = IDIndexEntry.none
    var isOrdered = true
    var offset = SealedIDIndex.Layout.entries
    while offset < byteCount {
      let piece = try file.read(
        offset: offset, byteCount: min(Self.pieceByteCount, byteCount - offset))
      guard !piece.isEmpty, piece.count % IDIndexEntry.byteCount == 0 else { return nil }
      checksum = CRC32C.of(piece, continuing: checksum)
      unsafe piece.withUnsafeBytes { bytes in
        unsafe bytes.withMemoryRebound(to: IDIndexEntry.self) { entries in
          for position in 0..<entries.count {
            let entry = unsafe entries[position]
            if entry < last { isOrdered = false }
            last = entry
            sum.add(entry)
          }
        }
      }
      offset += piece.count
    }
    return isOrdered && checksum == header.entriesCRC32C ? sum : nil
  }

  /// Read at once: a multiple of an entry's size, small enough for a processor's cache.
  private static let pieceByteCount = 1 << 18
}

/// Entries whatever their order: two indexes with the same sum that are both in order are the same index.
private struct EntrySum: Equatable {
  private(set) var count = 0
  private var sum: UInt64 = 0

  /// A checksum of each entry, added up. Damage is found by the file's own checksum; this tells an index of
  /// other rows from the right one, without sorting.
  mutating func add(_ entry: IDIndexEntry) {
    let place = UInt64(entry.place) << 32 | UInt64(entry.idOffset)
    let (high, low) = (entry.hash ^ 0x9E37_79B9_7F4A_7C15)
      .multipliedFullWidth(by: place ^ 0xC2B2_AE3D_27D4_EB4F)
    count += 1
    sum &+= high ^ low
  }
}
