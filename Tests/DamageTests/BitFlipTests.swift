// Promise P4, the whole of it: every bit of every file of a small store is flipped, one at a time.

import DiskSimulation
import Dispatch
import Foundation
import IngestService
import ShardStore
import Synchronization
import SystemIO
import Testing

@Suite(.serialized) struct BitFlipTests {
  /// One bit of every byte, in turn; every bit in a thorough run.
  @Test func namesEveryFlippedBitOfAStoreThatWasClosed() throws {
    let run = try FlipRun(StorePlan.reference.makeClosed())
    let isThorough = ProcessInfo.processInfo.environment["INGOT_THOROUGH"] != nil

    let counts = run.flip(everyBit: { _ in isThorough })

    FaultCounts.record(
      ["D1", "D4"], test: "BitFlipTests.namesEveryFlippedBitOfAStoreThatWasClosed",
      injections: counts.total, violations: counts.problems.count)
    print("closed store, \(isThorough ? "every bit" : "one bit of every byte"): \(counts)")
    #expect(counts.problems == [])
    #expect(counts.total == run.byteCount * (isThorough ? 8 : 1))
    #expect(counts.tornTail == 0)
  }

  /// What differs from a closed store: preallocated tails, and SQLite's log, which takes long to read again. Of
  /// its bytes, and of those of files that are as in a closed store, one bit is flipped each, in turn.
  @Test func namesEveryFlippedBitOfAStoreThatWasKilled() throws {
    let run = try FlipRun(StorePlan.reference.makeKilled())
    let isThorough = ProcessInfo.processInfo.environment["INGOT_THOROUGH"] != nil

    let counts = run.flip(
      everyBit: { _ in isThorough },
      step: { isThorough || !$0.hasPrefix("catalog.sqlite") ? 1 : 101 })

    FaultCounts.record(
      ["D1", "D4", "D6"], test: "BitFlipTests.namesEveryFlippedBitOfAStoreThatWasKilled",
      injections: counts.total, violations: counts.problems.count)
    print("killed store, \(isThorough ? "every bit" : "one bit of many bytes"): \(counts)")
    #expect(counts.problems == [])
    #expect(counts.tornTail > 1_000)
  }
}

/// What came of the flips.
struct FlipCounts: Sendable, CustomStringConvertible {
  var total = 0
  var damage = 0
  var note = 0
  var tornTail = 0
  /// Of the catalog, which says the same.
  var inert = 0
  var problems: [String] = []

  mutating func add(_ other: FlipCounts) {
    total += other.total
    damage += other.damage
    note += other.note
    tornTail += other.tornTail
    inert += other.inert
    problems += other.problems
  }

  var description: String {
    "\(total) flips: \(damage) damage, \(note) notes, \(tornTail) torn tails, \(inert) inert, "
      + "\(problems.count) wrong"
  }
}

/// Flips bits of a store, in a copy of it for each processor.
struct FlipRun {
  let map: StoreMap
  private let store: ReferenceStore
  private let files: [(path: String, byteCount: Int)]
  private let dump: CatalogDump

  init(_ store: ReferenceStore) throws {
    self.store = store
    map = try StoreMap(store)
    files = try store.files().map { ($0, try store.bytes($0).count) }
    dump = try CatalogDump(store.layout.catalogFile)
    let clean = try StoreVerifier(root: store.root).verify()
    #expect(clean.damage == [] && clean.notes == [])
  }

  var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }

  /// - Parameters:
  ///   - everyBit: Whether all bits of a file are flipped, and not one of each byte.
  ///   - step: From byte to byte of a file.
  func flip(
    everyBit: (String) -> Bool, step: (String) -> Int = { _ in 1 }
  ) -> FlipCounts {
    var counts = FlipCounts()
    for (path, byteCount) in files {
      let began = MonotonicTime.now
      let more = flip(
        path, byteCount: byteCount, step: step(path), everyBit: everyBit(path))
      let seconds = began.duration(to: .now).seconds
      print("  \(path), \(byteCount) bytes: \(more), \(Int(seconds * 1e6) / more.total) µs each")
      counts.add(more)
    }
    return counts
  }

  private func flip(
    _ path: String, byteCount: Int, step: Int, everyBit: Bool
  ) -> FlipCounts {
    let threadCount = ProcessInfo.processInfo.activeProcessorCount
    let counts = Mutex(FlipCounts())
    let part = (byteCount + threadCount - 1) / threadCount
    DispatchQueue.concurrentPerform(iterations: threadCount) { thread in
      let bytes = min(thread * part, byteCount)..<min((thread + 1) * part, byteCount)
      var more = FlipCounts()
      do { try flip(path, bytes, step: step, everyBit: everyBit, &more) } catch {
        more.problems.append("\(path): \(error)")
      }
      let result = more
      counts.withLock { $0.add(result) }
    }
    return counts.withLock { $0 }
  }

  private func flip(
    _ path: String, _ bytes: Range<Int>, step: Int, everyBit: Bool,
    _ counts: inout FlipCounts
  ) throws {
    let copy = try store.copy()
    let original = try copy.bytes(path)
    let file = try RealDisk().openFile(copy.root + "/" + path, for: .readWrite)
    let verifier = StoreVerifier(root: copy.root)
    let isCatalog = path.hasPrefix("catalog.sqlite")
    // SQLite takes longer to open a file than all else takes, and here the file does not change.
    let catalog = isCatalog ? nil : verifier.openCatalog()
    for offset in stride(from: bytes.lowerBound, to: bytes.upperBound, by: step) {
      var touched = Touched()
      map.touch(path, offset..<(offset + 1), &touched)
      for bit in everyBit ? 0..<8 : (offset % 8)..<(offset % 8 + 1) {
        try file.write([original[offset] ^ (1 << bit)], at: offset)
        counts.total += 1
        if isCatalog, (try? CatalogDump(copy.layout.catalogFile)) == dump {
          counts.inert += 1
          continue
        }
        let judgement = judge(path, touched) { try verifier.verify(catalog: catalog) }
        switch judgement {
        case .damage: counts.damage += 1
        case .note: counts.note += 1
        case .tornTail: counts.tornTail += 1
        case .nothing, .wrong:
          counts.problems.append("\(path), byte \(offset), bit \(bit): \(judgement)")
        }
      }
      try file.write([original[offset]], at: offset)
    }
  }

  /// A store whose format seems to be newer is not read, and its file is named.
  private func judge(
    _ path: String, _ touched: Touched, _ verify: () throws -> StoreVerification
  ) -> Judgement {
    do { return map.judge(try verify(), touched) } catch {
      return "\(error)".contains(path) ? .damage : .wrong("\(error)")
    }
  }
}
