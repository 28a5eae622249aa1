// The 128 bytes before the rows of embeddings.npy, as np.save writes them.
// Format: docs/shard-format.md "embeddings.npy"; numpy.lib.format, version 1.0.

/// Row count, dimension and dtype as the header of a shard's embeddings.npy states them.
package struct ShardHeader: Equatable, Sendable {
  package var rowCount: Int
  package var dimension: Int
  package var dtype: Dtype

  package static let byteCount = NumPyHeader.canonicalByteCount

  package init(rowCount: Int, dimension: Int, dtype: Dtype) {
    self.rowCount = rowCount
    self.dimension = dimension
    self.dtype = dtype
  }

  /// The header; equal to NumPy's own for the same array.
  package var encoded: [UInt8] {
    NumPyHeader.canonical(rowCount: rowCount, dimension: dimension, dtype: dtype)
  }

  /// The header in `bytes`, when they are exactly what ``encoded`` writes for a row count that can be.
  package init?(_ bytes: [UInt8], dimension: Int, dtype: Dtype) {
    self.init(rowCount: 0, dimension: dimension, dtype: dtype)
    guard bytes.count == Self.byteCount else { return nil }
    let header = unsafe bytes.withUnsafeBytes { try? NumPyHeader.parse($0) }
    guard let header, header.shape.count == 2, header.shape[0] <= ShardGeometry.rowCapacityMax
    else {
      return nil
    }
    rowCount = header.shape[0]
    guard encoded == bytes else { return nil }
  }
}
