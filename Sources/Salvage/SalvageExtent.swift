// Decides which rows of a broken .npy are there, from its layout and the end of what is not zero. No effects.

internal import ShardStore

/// How many rows are whole, and what became of the others.
///
/// Somebody who opens a cut file with `mmap_mode="r+"`, or a file system after a power cut, gives it its full
/// length with zeros. So zeros at the end are rows that were never written, and a row that ends in zeros just
/// before them, or at the very end, is one that was cut and then extended.
package struct SalvageExtent: Equatable, Sendable {
  /// Rows to read, from 0: neither cut nor behind the last number.
  package let wholeRowCount: Int
  /// 1 when the last row is there in part.
  package let tornRowCount: Int
  /// What is left of it.
  package let tornByteCount: Int
  /// Rows, or what there is of one, that are zero up to the end.
  package let zeroTailRowCount: Int
  /// Rows that the header claims, or that are there when it does not say.
  package let claimedRowCount: Int

  /// Rows of which the file does not have a byte.
  package var absentRowCount: Int {
    claimedRowCount - wholeRowCount - tornRowCount - zeroTailRowCount
  }

  /// - Parameter nonZeroByteCount: Bytes of rows up to the last that is not zero; nil when zeros count.
  package init(_ layout: SalvageLayout, nonZeroByteCount: Int?) {
    let stride = layout.rowStride
    let byteCount = layout.dataByteCount
    let end = nonZeroByteCount ?? byteCount
    // What there are in the file, the last of which may be cut.
    let rowCount = (byteCount + stride - 1) / stride
    let isCut = byteCount % stride != 0
    claimedRowCount = layout.claimedRowCount ?? rowCount
    let lastRow = end / stride
    let lastByteCount = end % stride
    let zeroCount = (lastRow + 1) * stride - end

    if end == byteCount || lastByteCount == 0 {
      wholeRowCount = lastRow
      tornRowCount = lastByteCount > 0 ? 1 : 0
    } else if lastRow + 1 == rowCount, !isCut, zeroCount < layout.dtype.byteCount {
      // The last number of the last row has a zero byte, as small numbers do.
      wholeRowCount = lastRow + 1
      tornRowCount = 0
    } else {
      wholeRowCount = lastRow
      tornRowCount = 1
    }
    tornByteCount = tornRowCount == 1 ? lastByteCount : 0
    zeroTailRowCount = rowCount - wholeRowCount - tornRowCount
  }
}
