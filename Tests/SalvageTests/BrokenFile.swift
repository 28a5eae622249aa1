// Broken .npy files in a temporary folder, made byte by byte. Used by all suites here.

import Foundation
import Salvage
import ShardStore
import SystemIO

final class BrokenFile {
  let folder: String
  var path: String { folder + "/broken.npy" }

  static let dimension = 4
  static let rowStride = dimension * 4

  /// - Parameter bytes: All of the file.
  init(_ bytes: [UInt8]) throws {
    folder = NSTemporaryDirectory() + "ingot-salvage-" + UUID().uuidString
    try RealDisk().makeDirectory(folder)
    try RealDisk().createFile(path).write(bytes, at: 0)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// A header that claims rows, then these bytes.
  convenience init(claiming rowCount: Int, _ rows: [UInt8]) throws {
    let header = NumPyHeader.canonical(
      rowCount: rowCount, dimension: Self.dimension, dtype: .float32)
    try self.init(header + rows)
  }

  /// Rows of numbers that differ and have no zero byte at their end.
  static func rows(_ range: Range<Int>) -> [UInt8] {
    range.flatMap { row in (0..<dimension).flatMap { bytes(Float(row * dimension + $0) + 1.5) } }
  }

  static func row(of value: Float) -> [UInt8] { (0..<dimension).flatMap { _ in bytes(value) } }

  static func bytes(_ value: Float) -> [UInt8] {
    withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
  }

  static func zeros(_ rowCount: Int) -> [UInt8] {
    [UInt8](repeating: 0, count: rowCount * rowStride)
  }

  func source(
    keepsZeros: Bool = false, hints: SalvageHints = SalvageHints(), disk: any Disk = RealDisk()
  ) throws -> SalvageSource {
    try SalvageSource(path, hints: hints, keepsZeros: keepsZeros, disk: disk)
  }
}

/// Everything that a source gives, in pieces of some rows.
struct Salvaged {
  var rows: [UInt8] = []
  var lost: [Int: RowLoss] = [:]
  var counts: SalvageCounts

  init(_ source: SalvageSource, rowsPerPiece: Int = 3) {
    let pool = RowBufferPool(
      bufferCount: 1, byteCount: rowsPerPiece * source.layout.rowStride)
    var reader = SalvageReader(source, rowsPerPiece: rowsPerPiece, pool: pool)
    counts = SalvageCounts(source.extent)
    while let piece = reader.next() {
      counts.add(piece)
      for entry in piece.lost { lost[entry.row] = entry.loss }
      rows += RecoveredRows(piece).bytes
    }
  }
}
