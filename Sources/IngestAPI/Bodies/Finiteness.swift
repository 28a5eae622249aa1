// Whether all numbers of a batch are finite: one fast pass, and a slow one only to name the rows.

internal import ShardStore

/// Tests rows for NaN and infinity by their exponent bits.
///
/// A number is not finite when all its exponent bits are set. Adding the lowest exponent bit to the
/// masked exponent then carries into the sign bit and nowhere else, so one AND, one ADD and one OR
/// per block decide.
enum Finiteness {
  /// - Parameter rows: Whole numbers of `dtype`, at any alignment.
  @safe
  static func holds(for rows: UnsafeRawBufferPointer, dtype: Dtype) -> Bool {
    switch dtype {
    case .float32:
      allFinite(
        rows, block: SIMD32<UInt32>.self, exponentMask: 0x7F80_0000, lowestExponentBit: 0x0080_0000)
    case .float16:
      allFinite(rows, block: SIMD64<UInt16>.self, exponentMask: 0x7C00, lowestExponentBit: 0x0400)
    }
  }

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

  @inline(__always)
  @safe
  private static func allFinite<Block: SIMD>(
    _ bytes: UnsafeRawBufferPointer, block: Block.Type, exponentMask: Block.Scalar,
    lowestExponentBit: Block.Scalar
  ) -> Bool where Block.Scalar: FixedWidthInteger & UnsignedInteger {
    let mask = Block(repeating: exponentMask)
    let one = Block(repeating: lowestExponentBit)
    let blockByteCount = MemoryLayout<Block>.size
    var carries = Block(repeating: 0)
    var offset = 0
    while offset <= bytes.count - blockByteCount {
      let numbers = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Block.self)
      carries |= (numbers & mask) &+ one
      offset += blockByteCount
    }
    var carry: Block.Scalar = 0
    for lane in carries.indices { carry |= carries[lane] }
    let scalarByteCount = MemoryLayout<Block.Scalar>.size
    while offset <= bytes.count - scalarByteCount {
      let number = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Block.Scalar.self)
      carry |= (number & exponentMask) &+ lowestExponentBit
      offset += scalarByteCount
    }
    return carry.leadingZeroBitCount > 0
  }
}
