// Promise P7: a catalog that is lost, damaged or old is made whole from the logs, equal in every row.

import DiskSimulation
import Foundation
import IngestService
import ShardStore
import SystemIO
import TestContent
import Testing

@Suite struct CatalogRebuildTests {
  /// What became of the catalog while nobody looked.
  enum Loss: CaseIterable {
    case deleted, emptied, garbage, garbageBehindTheFirstPage, newerVersion, yesterdays
    case cutAmidTheFirstPage, cutAfterTheFirstPage, cutAmidAPage, cutByOnePage, cutByOneByte
  }

  @Test(arguments: Loss.allCases)
  func isEqualAfterTheNextStart(loss: Loss) throws {
    let store = try ReferenceStore()
    let plan = StorePlan.reference
    try plan.fill(store) { $0.prefix(2) }
    let yesterday = try store.bytes("catalog.sqlite")
    try plan.fill(store) { $0.dropFirst(2) }
    let expected = try CatalogDump(store.layout.catalogFile)
    let bad = try loss.apply(to: try store.bytes("catalog.sqlite"), yesterday: yesterday)
    try FileManager.default.removeItem(atPath: store.layout.catalogFile)
    if let bad { try Data(bad).write(to: URL(fileURLWithPath: store.layout.catalogFile)) }

    try plan.fill(store) { $0.prefix(0) }

    #expect(try CatalogDump(store.layout.catalogFile) == expected)
    #expect(try StoreVerifier(root: store.root).verify().damage == [])
    let aside = try store.files().filter {
      $0.hasPrefix("catalog.sqlite.") && !$0.hasSuffix("-wal") && !$0.hasSuffix("-shm")
    }
    let kept = try aside.map { try store.bytes($0) }
    FaultCounts.record(
      loss == .yesterdays ? ["E5"] : ["E4"], test: "CatalogRebuildTests.isEqualAfterTheNextStart",
      injections: 1, violations: try CatalogDump(store.layout.catalogFile) == expected ? 0 : 1)
    #expect(kept == (loss.isKeptAside ? [bad] : []))
  }
}

extension CatalogRebuildTests.Loss {
  /// An older catalog is brought forward; of an empty one there is nothing to keep.
  var isKeptAside: Bool { ![.deleted, .emptied, .yesterdays].contains(self) }

  func apply(to bytes: [UInt8], yesterday: [UInt8]) throws -> [UInt8]? {
    var random = SeededGenerator(seed: 7)
    let pageByteCount = 4096
    var garbage: [UInt8] { bytes.map { _ in UInt8(random.next() >> 56) } }
    switch self {
    case .deleted: return nil
    case .emptied: return []
    case .garbage: return garbage
    case .garbageBehindTheFirstPage:
      return Array(bytes[..<pageByteCount]) + garbage[pageByteCount...]
    case .newerVersion:
      var newer = bytes
      // user_version, big-endian. Source: sqlite.org/fileformat2.html, section 1.3.
      newer[63] = 99
      return newer
    case .yesterdays: return yesterday
    case .cutAmidTheFirstPage: return Array(bytes[..<100])
    case .cutAfterTheFirstPage: return Array(bytes[..<pageByteCount])
    case .cutAmidAPage:
      return Array(bytes[..<(bytes.count / 2 / pageByteCount * pageByteCount + 100)])
    case .cutByOnePage: return Array(bytes.dropLast(pageByteCount))
    case .cutByOneByte: return Array(bytes.dropLast())
    }
  }
}
