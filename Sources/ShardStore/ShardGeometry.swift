// The numbers that a shard's offsets follow from.

/// Shape of the rows, and limits of one shard.
package struct ShardGeometry: Equatable, Sendable {
  package let dimension: Int
  package let dtype: Dtype
  /// Rows that fit; a larger batch gets a shard of its own size.
  package let rowCapacity: Int

  /// Keeps row numbers in ids.index within 32 bits, and the index of an open shard within about 64 MiB.
  package static let rowCapacityMax = 1 << 20
  /// Keeps id offsets in ids.index within 32 bits; a shard whose log is as long takes no more batches.
  package static let logByteCountMax = 1 << 30
  /// With what is reserved ahead and the seal record; a longer file was not written by Ingot.
  static let logFileByteCountMax = logByteCountMax + 64 << 20

  package init(dimension: Int, dtype: Dtype, shardByteCount: Int) {
    self.init(
      dimension: dimension, dtype: dtype,
      rowCapacity: max(1, min(Self.rowCapacityMax, shardByteCount / (dimension * dtype.byteCount))))
  }

  private init(dimension: Int, dtype: Dtype, rowCapacity: Int) {
    precondition(dimension > 0, "a row has numbers")
    self.dimension = dimension
    self.dtype = dtype
    self.rowCapacity = rowCapacity
  }

  /// The same shape with room for at least `rowCount` rows.
  package func fitting(rowCount: Int) -> ShardGeometry {
    ShardGeometry(dimension: dimension, dtype: dtype, rowCapacity: max(rowCapacity, rowCount))
  }

  /// Bytes from row to row.
  package var rowStride: Int { dimension * dtype.byteCount }

  /// Where a row starts in embeddings.npy.
  package func offset(ofRow row: Int) -> Int { ShardHeader.byteCount + row * rowStride }

  /// The bytes of rows in embeddings.npy.
  package func bytes(ofRows rows: Range<Int>) -> Range<Int> {
    offset(ofRow: rows.lowerBound)..<offset(ofRow: rows.upperBound)
  }

  /// The rows that have a byte in a range of embeddings.npy.
  package func rows(inBytes bytes: Range<Int>) -> Range<Int> {
    let first = max(0, bytes.lowerBound - ShardHeader.byteCount) / rowStride
    let end = (max(0, bytes.upperBound - ShardHeader.byteCount) + rowStride - 1) / rowStride
    return first..<max(first, end)
  }

  package func header(rowCount: Int) -> ShardHeader {
    ShardHeader(rowCount: rowCount, dimension: dimension, dtype: dtype)
  }
}
