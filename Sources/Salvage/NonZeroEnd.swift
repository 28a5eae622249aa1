// Where the part of a file ends that is not zero. Used by SalvageSource.swift.

internal import ShardStore
internal import SystemIO

extension DiskFile {
  /// The end of what is not zero in a range, which is searched from its end; its start when all is zero.
  ///
  /// Holes are skipped. What cannot be read counts as not zero: it is for the reader of the rows to name.
  func nonZeroEnd(in range: Range<Int>, buffer: RowBuffer) -> Int {
    var end = range.upperBound
    while end > range.lowerBound {
      let start = max(range.lowerBound, unsafe end - buffer.bytes.count)
      if !isHole(start..<end) {
        let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[..<(end - start)])
        guard let count = try? unsafe read(into: piece, at: start) else { return end }
        let found = unsafe UnsafeRawBufferPointer(rebasing: piece[..<count])
        if let last = unsafe found.lastNonZero { return start + last + 1 }
      }
      end = start
    }
    return end
  }

  private func isHole(_ range: Range<Int>) -> Bool {
    do throws(DiskError) {
      guard let data = try firstData(from: range.lowerBound) else { return true }
      return data >= range.upperBound
    } catch {
      return false
    }
  }
}

extension UnsafeRawBufferPointer {
  /// The index of the last byte that is not zero.
  fileprivate var lastNonZero: Int? {
    if unsafe isAllZero { return nil }
    var position = count
    while position > 0 {
      position -= 1
      if unsafe self[position] != 0 { return position }
    }
    return nil
  }
}
