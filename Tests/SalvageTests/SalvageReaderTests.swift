// Which rows come back from real files: cut, extended with zeros, with rows that are no vectors, and unreadable ones.

import DiskSimulation
import Glibc
import Salvage
import ShardStore
import SystemIO
import Testing

@Suite struct SalvageReaderTests {
  /// What a file holds behind its header, and how it is counted.
  struct Tail: CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    let whole: Int
    let torn: Int
    let zeroTail: Int

    init(_ name: String, _ bytes: [UInt8], whole: Int, torn: Int, zeroTail: Int) {
      testDescription = name
      self.bytes = bytes
      (self.whole, self.torn, self.zeroTail) = (whole, torn, zeroTail)
    }
  }

  private static let claimed = 10
  private static let six = BrokenFile.rows(0..<6)
  private static let half = Array(BrokenFile.rows(6..<7)[..<8])

  private static let tails = [
    Tail("whole", BrokenFile.rows(0..<10), whole: 10, torn: 0, zeroTail: 0),
    Tail("more than claimed", BrokenFile.rows(0..<12), whole: 10, torn: 0, zeroTail: 0),
    Tail("cut between rows", six, whole: 6, torn: 0, zeroTail: 0),
    Tail("cut within a row", six + half, whole: 6, torn: 1, zeroTail: 0),
    Tail("zeros behind a row", six + BrokenFile.zeros(4), whole: 6, torn: 0, zeroTail: 4),
    Tail(
      "zeros within a row", six + half + [UInt8](repeating: 0, count: 8) + BrokenFile.zeros(3),
      whole: 6, torn: 1, zeroTail: 3),
    Tail(
      "zeros to within a row", six + [UInt8](repeating: 0, count: 20), whole: 6, torn: 0,
      zeroTail: 2),
    Tail("cut row ends in zeros", six + half + [0, 0], whole: 6, torn: 1, zeroTail: 0),
    Tail(
      "last row ends in a zero", BrokenFile.rows(0..<9) + half + [UInt8](repeating: 0, count: 8),
      whole: 9, torn: 1, zeroTail: 0),
    Tail(
      "last row ends in a small number",
      BrokenFile.rows(0..<9) + half + BrokenFile.bytes(1) + [1, 0, 0, 0],
      whole: 10, torn: 0, zeroTail: 0),
    Tail("nothing but zeros", BrokenFile.zeros(10), whole: 0, torn: 0, zeroTail: 10),
    Tail("nothing", [], whole: 0, torn: 0, zeroTail: 0),
  ]

  @Test(arguments: tails)
  func countsWhatBecameOfEveryRow(tail: Tail) throws {
    let file = try BrokenFile(claiming: Self.claimed, tail.bytes)
    let source = try file.source()
    let found = Salvaged(source)

    #expect(source.extent.wholeRowCount == tail.whole)
    #expect(source.extent.tornRowCount == tail.torn)
    #expect(source.extent.zeroTailRowCount == tail.zeroTail)
    #expect(
      source.extent.absentRowCount == Self.claimed - tail.whole - tail.torn - tail.zeroTail)
    #expect(found.rows == Array(tail.bytes[..<(tail.whole * BrokenFile.rowStride)]))
    #expect(found.counts.recoveredRowCount == tail.whole)
    #expect(found.counts.lostRowCount == Self.claimed - tail.whole)
  }

  @Test func findsTheEndOfTheRowsBehindHolesAndPieces() throws {
    let file = try BrokenFile(claiming: 1 << 20, Self.six)
    let disk = RealDisk()
    let rows = try disk.openFile(file.path, for: .readWrite)
    try rows.truncate(toByteCount: 128 + (1 << 20) * BrokenFile.rowStride)
    #expect(try file.source().extent.wholeRowCount == 6)

    // A row in the middle of the hole, across the border of two pieces of the search.
    let row = (3 << 20) / BrokenFile.rowStride
    try rows.write(BrokenFile.rows(7..<8), at: 128 + row * BrokenFile.rowStride)
    #expect(try file.source().extent.wholeRowCount == row + 1)
  }

  @Test(arguments: 1...11)
  func losesRowsThatAreNoVectors(rowsPerPiece: Int) throws {
    var rows = Self.six
    rows.replaceSubrange(16..<20, with: BrokenFile.bytes(.nan))
    rows.replaceSubrange(32..<48, with: BrokenFile.zeros(1))
    rows.replaceSubrange(76..<80, with: BrokenFile.bytes(-.infinity))
    let found = Salvaged(
      try BrokenFile(claiming: 6, rows).source(), rowsPerPiece: rowsPerPiece)

    #expect(found.lost == [1: .nonFinite, 2: .zero, 4: .nonFinite])
    #expect(found.rows == BrokenFile.rows(0..<1) + BrokenFile.rows(3..<4) + BrokenFile.rows(5..<6))
    #expect(found.counts.nonFiniteRowCount == 2 && found.counts.zeroRowCount == 1)
  }

  @Test func keepsZerosWhenAsked() throws {
    let rows = BrokenFile.zeros(2) + Self.six + BrokenFile.zeros(2)
    let found = Salvaged(try BrokenFile(claiming: 10, rows).source(keepsZeros: true))
    #expect(found.rows == rows && found.counts.lostRowCount == 0)
  }

  @Test func readsWithoutAHeader() throws {
    let file = try BrokenFile(Self.six)
    let hints = SalvageHints(
      dimension: BrokenFile.dimension, dtype: .float32, headerByteCount: 0)
    #expect(Salvaged(try file.source(hints: hints)).rows == Self.six)
  }

  @Test func losesOnlyTheRowsThatTheDiskDoesNotGive() throws {
    let disk = SimulatedDisk()
    let header = NumPyHeader.canonical(rowCount: 6, dimension: 4, dtype: .float32)
    try disk.createFile("/broken.npy").write(header + Self.six, at: 0)
    let source = try SalvageSource(
      "/broken.npy", hints: SalvageHints(), keepsZeros: false, disk: disk)
    // Header and end of the rows were read; then all rows at once, and then one by one.
    let readCount = 2
    disk.setFault { operation, _, count in
      operation == "pread" && [readCount, readCount + 1 + 3].contains(count) ? EIO : nil
    }

    let found = Salvaged(source, rowsPerPiece: 6)

    #expect(found.lost == [3: .unreadable])
    #expect(found.rows == BrokenFile.rows(0..<3) + BrokenFile.rows(4..<6))
    #expect(found.counts.unreadableRowCount == 1)
  }

  @Test func refusesWhatIsNoRegularFile() throws {
    let file = try BrokenFile([])
    #expect(throws: SalvageRefused.empty) { try file.source() }
    #expect(throws: SalvageRefused.self) {
      try SalvageSource(file.folder, hints: SalvageHints(), keepsZeros: false)
    }
  }
}
