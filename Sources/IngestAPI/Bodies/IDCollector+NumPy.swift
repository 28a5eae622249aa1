// Ids from a NumPy array: Unicode, bytes, or integers of any width.

internal import ShardStore

extension IDCollector {
  /// The ids of `array`, which must be `rowCount` of them.
  ///
  /// - Parameter rowCount: The rows of the batch, within its limit.
  init(_ array: NumPyArray, rowCount: Int) throws(BodyError) {
    guard array.shape.count == 1 else {
      throw .wrongRank(member: array.name, found: array.shape, expected: 1)
    }
    guard array.type.byteOrder != ">" else {
      throw .wrongByteOrder(member: array.name, found: array.descr)
    }
    guard array.shape[0] == rowCount else {
      throw .idCountMismatch(idCount: array.shape[0], rowCount: rowCount)
    }
    self.init(expecting: rowCount)
    switch (array.descr.first, array.type.kind, array.type.byteCount) {
    case ("<", "U", _): unsafe appendElements(of: array) { ids, id in ids.append(utf32: id) }
    case ("|", "S", _): unsafe appendElements(of: array) { ids, id in ids.append(id) }
    case ("|", "i", 1): appendIntegers(of: array, as: Int8.self)
    case ("<", "i", 2): appendIntegers(of: array, as: Int16.self)
    case ("<", "i", 4): appendIntegers(of: array, as: Int32.self)
    case ("<", "i", 8): appendIntegers(of: array, as: Int64.self)
    case ("|", "u", 1): appendIntegers(of: array, as: UInt8.self)
    case ("<", "u", 2): appendIntegers(of: array, as: UInt16.self)
    case ("<", "u", 4): appendIntegers(of: array, as: UInt32.self)
    case ("<", "u", 8): appendIntegers(of: array, as: UInt64.self)
    default: throw .wrongIDType(found: "dtype \(array.descr)")
    }
  }

  /// Fixed-width text without its trailing NULs, which is how NumPy itself reads it.
  private mutating func appendElements(
    of array: NumPyArray, append: (inout IDCollector, UnsafeRawBufferPointer) -> Void
  ) {
    let byteCount = array.type.byteCount
    let unit = array.type.kind == "U" ? 4 : 1
    for index in 0..<array.shape[0] {
      guard let element = array.data.slice(at: index * byteCount, byteCount: byteCount) else {
        return
      }
      var end = byteCount
      while end > 0, element.isZero(from: end - unit, to: end) { end -= unit }
      unsafe append(&self, UnsafeRawBufferPointer(rebasing: element.buffer[..<end]))
    }
  }

  private mutating func appendIntegers<ID: FixedWidthInteger>(
    of array: NumPyArray, as type: ID.Type
  ) {
    for index in 0..<array.shape[0] {
      guard let id = array.data.integer(ID.self, at: index * array.type.byteCount) else { return }
      append(decimal: id)
    }
  }
}

extension BodyBytes {
  fileprivate func isZero(from start: Int, to end: Int) -> Bool {
    (start..<end).allSatisfy { self[$0] == 0 }
  }
}
