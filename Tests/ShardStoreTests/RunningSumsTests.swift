// The checksums kept while rows are written are those of the file that is read again.

import DiskSimulation
import SystemIO
import Testing

@testable import ShardStore

@Suite struct RunningSumsTests {
  /// Rows so that the file ends within the first block, at a block's end, and within a later one.
  @Test(arguments: [1, 3, 511, 512, 513, 1023, 1024, 2000], [64, 100])
  func equalWhatReadingTheFileGives(rowCount: Int, dimension: Int) throws {
    let geometry = ShardGeometry(dimension: dimension, dtype: .float16, shardByteCount: 1 << 30)
    let rows = (0..<(rowCount * geometry.rowStride)).map {
      UInt8(truncatingIfNeeded: $0 &* 31 >> 3)
    }
    let disk = SimulatedDisk()
    let file = try disk.createFile("/embeddings.npy")
    try file.write(geometry.header(rowCount: rowCount).encoded + rows, at: 0)
    let byteCount = geometry.offset(ofRow: rowCount)

    var sums = RunningSums(geometry: geometry)
    for piece in stride(from: 0, to: rows.count, by: 9_999) {
      rows[piece..<min(rows.count, piece + 9_999)].withUnsafeBytes { sums.append($0) }
    }

    let read = SealTable(of: try file.map(byteCount: byteCount), fileByteCount: byteCount, seed: 7)
    #expect(sums.table(rowCount: rowCount, seed: 7) == read)
    #expect(sums.table(rowCount: rowCount + 1, seed: 7) == nil)
  }

  @Test func sortsEntriesAsAComparisonDoes() {
    var random = SystemRandomNumberGenerator()
    for count in [0, 1, 64, 65, 1000, 5000] {
      let entries = (0..<count).map { row in
        // Few upper values, so that many rows share a place and some a hash.
        IDIndexEntry(
          hash: UInt64.random(in: 0..<50, using: &random) << 58 | UInt64(row % 3),
          row: row, idOffset: 0)
      }
      #expect(entries.sortedByHash() == entries.sorted())
    }
  }
}
