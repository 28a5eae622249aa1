// A body that is built once and sent many times, with other ids each time. Formats: BenchBody+NumPy.swift
// and BenchBody+JSON.swift.

internal import SystemIO

/// The body of one batch.
struct BenchBody: Sendable {
  /// The body, and zeros that simdjson may load behind it.
  private(set) var bytes: [UInt8]
  let byteCount: Int
  /// The ids are the integers from here on, one per row.
  private(set) var firstID = 0
  let rowCount: Int
  private let places: IDPlaces

  /// What must be readable behind a text that simdjson parses.
  private static let paddingByteCount = 64

  /// Where the ids of a body are.
  enum IDPlaces: Sendable {
    /// In the header `X-Ingot-Ids`.
    case header
    /// 8-byte integers at `offset`, in a zip member whose CRC-32 stands at `checksums`.
    case integers(offset: Int, member: Range<Int>, checksums: [Int])
    /// ``idDigitCount`` decimal digits at each offset.
    case digits(offsets: [Int])
  }

  /// Digits of an id; ids are microseconds since 1970 and more, which have as many until 2286.
  static let idDigitCount = 16

  /// - Parameter seed: Bodies with different seeds have different rows.
  init(_ shape: BenchShape, seed: UInt64) {
    let rows = BenchRows.unitLength(shape, seed: seed)
    (bytes, places) =
      switch shape.format {
      case .npz: Self.npz(rows, shape)
      case .npy: Self.npy(rows, shape)
      case .json: Self.json(rows, shape)
      case .ndjson: Self.ndjson(rows, shape)
      }
    byteCount = bytes.count
    rowCount = shape.rowCount
    bytes.append(contentsOf: repeatElement(0, count: Self.paddingByteCount))
  }

  var idRange: String { "\(firstID)..\(firstID + rowCount - 1)" }

  var idsTravelBeside: Bool { if case .header = places { true } else { false } }

  /// Gives the rows the ids from `first` on.
  mutating func setIDs(from first: Int) {
    firstID = first
    switch places {
    case .header: break
    case .integers(let offset, let member, let checksums):
      unsafe bytes.withUnsafeMutableBytes { bytes in
        for row in 0..<rowCount {
          unsafe bytes.storeBytes(
            of: Int64(first + row).littleEndian, toByteOffset: offset + row * 8, as: Int64.self)
        }
        let checksum = unsafe ZipCRC32.of(UnsafeRawBufferPointer(rebasing: bytes[member]))
        for place in checksums {
          unsafe bytes.storeBytes(of: checksum.littleEndian, toByteOffset: place, as: UInt32.self)
        }
      }
    case .digits(let offsets):
      for (row, offset) in offsets.enumerated() {
        var rest = first + row
        for place in (offset..<(offset + Self.idDigitCount)).reversed() {
          bytes[place] = UInt8(ascii: "0") + UInt8(rest % 10)
          rest /= 10
        }
      }
    }
  }
}

/// Rows as embedding models give them out.
enum BenchRows {
  /// Random directions of length 1, row by row; the same for the same seed.
  static func unitLength(_ shape: BenchShape, seed: UInt64) -> [Float] {
    let dimension = shape.dimension
    var random = SplitMix64(state: seed)
    var rows = [Float](repeating: 0, count: shape.rowCount * dimension)
    for start in stride(from: 0, to: rows.count, by: dimension) {
      var squares: Float = 0
      for index in start..<(start + dimension) {
        let number = Float(random.next() >> 40) / Float(1 << 23) - 1
        rows[index] = number
        squares += number * number
      }
      let scale = squares > 0 ? 1 / squares.squareRoot() : 0
      for index in start..<(start + dimension) { rows[index] *= scale }
    }
    return rows
  }
}

/// Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
struct SplitMix64 {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
