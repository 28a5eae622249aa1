// Why a file cannot be salvaged as asked, in words that say what to do. Thrown by all of this module.

package import SystemIO

/// The file, or what was asked of it, is at fault; nothing was written.
package enum SalvageRefused: Error, Equatable, Sendable {
  case disk(DiskError)
  case empty
  case headerUnreadable(String)
  case headerLonger(byteCount: Int, fileByteCount: Int)
  case fortranOrder
  case dtype(String, UnusableType)
  case shape([Int])
  case dimension(Int)
}

/// Types that NumPy has and a collection has not.
package enum UnusableType: Equatable, Sendable {
  /// Numbers that `astype` turns into float32.
  case convertible(name: String)
  case other

  /// - Returns: nil when NumPy does not write such a `descr`.
  init?(_ descr: String) {
    let characters = Array(descr.utf8)
    guard characters.count >= 2, "<>|=".utf8.contains(characters[0]) else { return nil }
    let digits = String(decoding: characters.dropFirst(2), as: UTF8.self)
    switch characters[1] {
    case UInt8(ascii: "f"), UInt8(ascii: "i"), UInt8(ascii: "u"):
      guard let byteCount = Int(digits), [1, 2, 4, 8, 16].contains(byteCount) else { return nil }
      let order = characters[0] == UInt8(ascii: ">") ? "big-endian " : ""
      let kind = [0x66: "float", 0x69: "int", 0x75: "uint"][Int(characters[1])] ?? ""
      self = .convertible(name: "\(order)\(kind)\(byteCount * 8)")
    case let letter where "bcSUVOmM".utf8.contains(letter):
      self = .other
    default: return nil
    }
  }
}

extension SalvageRefused: CustomStringConvertible {
  package var description: String {
    switch self {
    case .disk(let error): "\(error)"
    case .empty: "the file is empty: there is nothing to bring back"
    case .headerUnreadable(let reason):
      "its .npy header cannot be read: \(reason); if it is a .npy whose header is damaged, say what it "
        + "holds with --dimension and --dtype"
    case .headerLonger(let byteCount, let fileByteCount):
      "--header-bytes is \(byteCount), and the file has \(fileByteCount) bytes"
    case .fortranOrder:
      "it is in Fortran order: the first numbers of all rows come first, so where the file ends early every "
        + "row has lost numbers and none is whole"
    case .dtype(let descr, .convertible(let name)):
      "its numbers are \(name) ('\(descr)'), and a collection holds float32 or float16; convert what is there "
        + "with NumPy, then salvage the new file: rows = np.memmap(FILE, '\(descr)', 'r', offset=HEADER, "
        + "shape=(ROWS, DIMENSION)); np.save('converted.npy', rows.astype('<f4'))"
    case .dtype(let descr, .other):
      "its dtype is '\(descr)': only rows of float32 or float16 can be brought back"
    case .shape(let shape):
      "its shape is \(shape.tuple), expected (rows, dimension); give --dimension to read it as rows"
    case .dimension(let dimension):
      "a dimension of \(dimension) is not from 1 to \(SalvageLayout.dimensionMax)"
    }
  }
}
