// A whole .npy file inside a body: header checked, data as long as the header says. Used by npz,
// npy and multipart bodies.

internal import ShardStore

/// A `.npy` array whose data is exactly as long as its shape and dtype say.
struct NumPyArray {
  /// What messages call it: `ids` or `embeddings`.
  let name: String
  let descr: String
  let fortranOrder: Bool
  let shape: [Int]
  /// The elements, at any alignment.
  let data: BodyBytes
  let type: ElementType

  /// What `descr` means, as far as ingest cares.
  struct ElementType: Equatable, Sendable {
    /// `f`, `i`, `u`, `U`, `S` or another of NumPy's letters.
    let kind: Character
    /// `<`, `>` or `|`.
    let byteOrder: Character
    /// Bytes per element.
    let byteCount: Int
  }

  init(name: String, file: BodyBytes) throws(BodyError) {
    let (header, type) = try Self.header(name: name, file: file)
    self.name = name
    descr = header.descr
    fortranOrder = header.fortranOrder
    shape = header.shape
    self.type = type
    data = try Self.data(behind: header, of: type, in: file, name: name)
  }

  /// A part of an array, whose header was read before.
  init(name: String, descr: String, type: ElementType, shape: [Int], data: BodyBytes) {
    self.name = name
    self.descr = descr
    fortranOrder = false
    self.shape = shape
    self.type = type
    self.data = data
  }

  /// What stands before the elements, and what it says of their type.
  static func header(
    name: String, file: BodyBytes
  ) throws(BodyError) -> (NumPyHeader, ElementType) {
    let header: NumPyHeader
    do throws(NumPyHeaderError) {
      header = try unsafe NumPyHeader.parse(file.buffer)
    } catch {
      switch error {
      case .structured: throw .structuredDtype(member: name)
      case .truncated(let needed, let found):
        throw .truncatedMember(member: name, expected: needed, found: found)
      default: throw .brokenNumPy(member: name, error)
      }
    }
    if header.descr.contains("O") { throw .objectDtype(member: name) }
    guard let type = ElementType(header.descr) else {
      throw .wrongDtype(member: name, found: String(header.descr.prefix(40)), expected: nil)
    }
    return (header, type)
  }

  private static func data(
    behind header: NumPyHeader, of type: ElementType, in file: BodyBytes, name: String
  ) throws(BodyError) -> BodyBytes {
    let expected = header.elementCount?.multipliedReportingOverflow(by: type.byteCount)
    let found = file.count - header.byteCount
    guard let expected, !expected.overflow, expected.partialValue <= found else {
      let needed = expected.map { $0.overflow ? Int.max : $0.partialValue } ?? Int.max
      throw .truncatedMember(member: name, expected: needed, found: found)
    }
    guard expected.partialValue == found,
      let data = file.slice(at: header.byteCount, byteCount: found)
    else {
      throw .trailingBytes(member: name, expected: expected.partialValue, found: found)
    }
    return data
  }
}

extension NumPyArray.ElementType {
  /// - Parameter descr: NumPy's notation: byte order, kind, count; such as `<f4` or `<U12`.
  init?(_ descr: String) {
    let letters = Array(descr)
    guard (3...20).contains(letters.count), "<>|".contains(letters[0]) else { return nil }
    guard let count = Int(String(letters[2...])), count >= 0, "fiubUScmMV".contains(letters[1])
    else { return nil }
    let (byteCount, overflow) = count.multipliedReportingOverflow(by: letters[1] == "U" ? 4 : 1)
    guard !overflow, letters[2].isNumber else { return nil }
    self.init(kind: letters[1], byteOrder: letters[0], byteCount: byteCount)
  }
}
