// The rows of a batch that are refused since a number is not finite. The test: ShardStore/Finiteness.swift.

internal import ShardStore

extension Finiteness {
  /// The rows with a number that is not finite, without ids.
  @safe
  static func offendingRows(
    in rows: UnsafeRawBufferPointer, dimension: Int, dtype: Dtype, id: (Int) -> String?
  ) -> Offenders {
    var offenders = Offenders()
    let rowByteCount = dimension * dtype.byteCount
    for index in 0..<(rows.count / rowByteCount) {
      let row = unsafe UnsafeRawBufferPointer(
        rebasing: rows[(index * rowByteCount)..<((index + 1) * rowByteCount)])
      if !holds(for: row, dtype: dtype) { offenders.add(index: index, id: id(index)) }
    }
    return offenders
  }
}
