// The 128 bytes before the rows of embeddings.npy, as np.save writes them.
// Format: docs/shard-format.md "embeddings.npy"; numpy.lib.format, version 1.0.

/// Row count, dimension and dtype as the header of a shard's embeddings.npy states them.
package struct ShardHeader: Equatable, Sendable {
  package var rowCount: Int
  package var dimension: Int
  package var dtype: Dtype

  package static let byteCount = 128

  package init(rowCount: Int, dimension: Int, dtype: Dtype) {
    self.rowCount = rowCount
    self.dimension = dimension
    self.dtype = dtype
  }

  /// The header; equal to NumPy's own for the same array.
  package var encoded: [UInt8] {
    var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(Self.byteCount - 10), 0]
    bytes += prefix.utf8
    bytes += "\(rowCount), \(dimension)), }".utf8
    bytes += [UInt8](repeating: UInt8(ascii: " "), count: Self.byteCount - 1 - bytes.count)
    return bytes + [UInt8(ascii: "\n")]
  }

  private var prefix: String {
    "{'descr': '\(dtype.rawValue)', 'fortran_order': False, 'shape': ("
  }

  /// The header in `bytes`, when they are exactly what ``encoded`` writes for some row count.
  package init?(_ bytes: [UInt8], dimension: Int, dtype: Dtype) {
    self.init(rowCount: 0, dimension: dimension, dtype: dtype)
    guard bytes.count == Self.byteCount else { return nil }
    let digits = bytes.dropFirst(10 + prefix.utf8.count).prefix { (0x30...0x39).contains($0) }
    guard let count = Int(String(decoding: digits, as: UTF8.self)) else { return nil }
    rowCount = count
    guard encoded == bytes else { return nil }
  }
}
