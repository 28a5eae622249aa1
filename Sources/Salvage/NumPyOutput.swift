// A good .npy from rows that came back. The header: ShardStore/NumPyHeader.swift.

package import ShardStore
package import SystemIO

/// Rows of one shape, written one behind the other; the header is written last, when their count is known.
package final class NumPyOutput {
  package private(set) var rowCount = 0
  package let file: NewFile
  private let dimension: Int
  private let dtype: Dtype

  package init(
    _ path: String, dimension: Int, dtype: Dtype, replaces: Bool
  ) throws(DiskError) {
    file = try NewFile(path, replaces: replaces)
    self.dimension = dimension
    self.dtype = dtype
    try file.append(NumPyHeader.canonical(rowCount: 0, dimension: dimension, dtype: dtype))
  }

  /// - Parameter rows: Whole rows, little-endian.
  @safe
  package func append(_ rows: UnsafeRawBufferPointer) throws(DiskError) {
    precondition(rows.count % (dimension * dtype.byteCount) == 0, "a part of a row")
    try unsafe file.append(rows: rows)
    rowCount += rows.count / (dimension * dtype.byteCount)
  }

  package func publish() throws(DiskError) {
    try file.overwrite(
      NumPyHeader.canonical(rowCount: rowCount, dimension: dimension, dtype: dtype), at: 0)
    try file.publish()
  }
}
