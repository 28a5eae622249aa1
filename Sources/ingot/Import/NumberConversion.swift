// Numbers of a source that a collection does not store, as those that it does.

import IngestAPI
import ShardStore

/// What one number of a source is.
struct SourceNumber: Equatable, Sendable {
  enum Width: Int, Sendable {
    case float16 = 2
    case float32 = 4
    case float64 = 8
  }

  let width: Width
  let isBigEndian: Bool

  /// - Parameter descr: NumPy's notation; nil for anything but floating-point numbers.
  init?(descr: String) {
    let letters = Array(descr)
    guard letters.count == 3, "<>".contains(letters[0]), letters[1] == "f",
      let width = letters[2].wholeNumberValue.flatMap(Width.init)
    else { return nil }
    self.width = width
    isBigEndian = letters[0] == ">"
  }

  var name: String {
    (isBigEndian ? "big-endian " : "") + "float\(width.rawValue * 8)"
  }

  /// What it is stored as when nothing is converted.
  var dtype: Dtype? {
    guard !isBigEndian else { return nil }
    return switch width {
    case .float16: .float16
    case .float32: .float32
    case .float64: nil
    }
  }

  /// The same numbers, rounded to what `dtype` can hold; what is beyond its range becomes infinite.
  func converted(_ numbers: HeapBodyMemory, to dtype: Dtype) -> HeapBodyMemory {
    let count = unsafe numbers.bytes.count / width.rawValue
    let result = HeapBodyMemory(byteCount: count * dtype.byteCount)
    for index in 0..<count {
      switch dtype {
      case .float32: result.store(Float(number(numbers, index)).bitPattern, at: index)
      case .float16: result.store(Float16(number(numbers, index)).bitPattern, at: index)
      }
    }
    return result
  }

  private func number(_ numbers: HeapBodyMemory, _ index: Int) -> Double {
    switch width {
    case .float16: Double(Float16(bitPattern: bits(numbers, index)))
    case .float32: Double(Float(bitPattern: bits(numbers, index)))
    case .float64: Double(bitPattern: bits(numbers, index))
    }
  }

  private func bits<Bits: FixedWidthInteger>(_ numbers: HeapBodyMemory, _ index: Int) -> Bits {
    let offset = index * width.rawValue
    let bits = unsafe numbers.bytes.loadUnaligned(fromByteOffset: offset, as: Bits.self)
    return isBigEndian ? Bits(bigEndian: bits) : Bits(littleEndian: bits)
  }
}

extension HeapBodyMemory {
  fileprivate func store<Bits: FixedWidthInteger>(_ bits: Bits, at index: Int) {
    unsafe mutableBytes.storeBytes(
      of: bits.littleEndian, toByteOffset: index * (Bits.bitWidth / 8), as: Bits.self)
  }
}
