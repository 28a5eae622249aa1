// The ids of a body, gathered from any format and checked together.

internal import CSimdjson
internal import ShardStore

/// Takes ids one by one and names all that are wrong at the end, not only the first.
struct IDCollector {
  /// The good ids, one behind the other.
  private var bytes: [UInt8] = []
  /// Where each good id ends in `bytes`.
  private var ends: [Int] = []
  /// How many ids came, good and bad.
  private(set) var count = 0
  private var empty = Offenders()
  private var tooLong = Offenders()
  private var notUTF8 = Offenders()

  /// - Parameter count: How many ids will come, when that is known; at most the rows of a batch.
  init(expecting count: Int) {
    ends.reserveCapacity(count)
    bytes.reserveCapacity(count * 12)
  }

  /// One id per line; the last line may end or not. Lines beyond the rows count once, as a
  /// mismatch.
  init(lines content: BodyBytes, rowCount: Int) {
    self.init(expecting: rowCount)
    var start = 0
    while start < content.count, count <= rowCount {
      let end = content.firstOffset(of: UInt8(ascii: "\n"), from: start) ?? content.count
      let isCRLF = end > start && end < content.count && content[end - 1] == UInt8(ascii: "\r")
      if let line = content.slice(at: start, byteCount: end - start - (isCRLF ? 1 : 0)) {
        unsafe append(line.buffer)
      }
      start = end + 1
    }
  }

  /// Takes an id of any bytes.
  @safe
  mutating func append(_ id: UnsafeRawBufferPointer) {
    let start = bytes.count
    // One byte over the limit is enough to be told apart from what is within it.
    unsafe bytes.append(contentsOf: id.prefix(IDList.idByteCountMax + 1))
    let isTooLong = id.count > IDList.idByteCountMax
    judge(from: start, isUTF8: unsafe isTooLong || csimdjson_is_utf8(id.baseAddress, id.count))
  }

  /// Takes an id that NumPy stored in little-endian UTF-32, without its trailing NULs.
  @safe
  mutating func append(utf32 id: UnsafeRawBufferPointer) {
    let start = bytes.count
    for offset in stride(from: 0, to: id.count - 3, by: 4) {
      let value = UInt32(
        littleEndian: unsafe id.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
      if value < 0x80 {
        bytes.append(UInt8(truncatingIfNeeded: value))
      } else if let scalar = Unicode.Scalar(value) {
        bytes.append(contentsOf: String(Character(scalar)).utf8)
      } else {
        return judge(from: start, isUTF8: false)
      }
      if bytes.count - start > IDList.idByteCountMax { break }
    }
    judge(from: start, isUTF8: true)
  }

  /// Takes an integer in its decimal form.
  mutating func append(decimal id: some FixedWidthInteger) {
    let start = bytes.count
    bytes.append(contentsOf: String(id).utf8)
    judge(from: start, isUTF8: true)
  }

  /// Keeps the id that `bytes` ends with, or takes it away and remembers why.
  private mutating func judge(from start: Int, isUTF8: Bool) {
    let byteCount = bytes.count - start
    if isUTF8, (1...IDList.idByteCountMax).contains(byteCount) {
      ends.append(bytes.count)
    } else {
      bytes.removeSubrange(start...)
      if !isUTF8 {
        notUTF8.add(index: count, id: nil)
      } else if byteCount == 0 {
        empty.add(index: count, id: nil)
      } else {
        tooLong.add(index: count, id: nil)
      }
    }
    count += 1
  }

  /// Takes an id of any bytes.
  mutating func append(_ id: ArraySlice<UInt8>) { unsafe id.withUnsafeBytes { append($0) } }

  /// Ids that were not taken.
  var keptCount: Int { ends.count }

  /// The ids since the last call, in which ids may occur again; ``count`` goes on.
  mutating func take() throws(BodyError) -> IDList {
    try refuseBadIDs()
    var builder = IDList.Builder(expecting: ends.count)
    do throws(IDProblem) { try fill(&builder) } catch {
      throw .idListTooLong(byteCountMax: IDList.Builder.listByteCountMax)
    }
    bytes.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
    return builder.finishWithRepetitions()
  }

  private func refuseBadIDs() throws(BodyError) {
    if notUTF8.count > 0 { throw .idNotUTF8(notUTF8) }
    if empty.count > 0 { throw .emptyID(empty) }
    if tooLong.count > 0 { throw .idTooLong(tooLong) }
  }

  /// The checked list.
  consuming func finish() throws(BodyError) -> IDList {
    try refuseBadIDs()
    do throws(IDProblem) {
      var builder = IDList.Builder(expecting: count)
      try fill(&builder)
      return try builder.finish()
    } catch {
      switch error {
      case .duplicate: throw .duplicateID(duplicates())
      case .listTooLong(let max): throw .idListTooLong(byteCountMax: max)
      case .empty, .tooLong, .notUTF8: preconditionFailure("an id was taken unchecked: \(error)")
      }
    }
  }

  /// The id of a row, when every id so far is good.
  subscript(row: Int) -> ArraySlice<UInt8> { bytes[(row == 0 ? 0 : ends[row - 1])..<ends[row]] }

  /// Of the rows, in their order; every id so far is good.
  func keeping(_ rows: [Int]) -> IDCollector {
    var kept = IDCollector(expecting: rows.count)
    for row in rows {
      kept.bytes += self[row]
      kept.ends.append(kept.bytes.count)
    }
    kept.count = rows.count
    return kept
  }

  private func fill(_ builder: inout IDList.Builder) throws(IDProblem) {
    var problem: IDProblem?
    unsafe bytes.withUnsafeBytes { buffer in
      var start = 0
      do throws(IDProblem) {
        for end in ends {
          try unsafe builder.append(
            validUTF8: UnsafeRawBufferPointer(rebasing: buffer[start..<end]))
          start = end
        }
      } catch {
        problem = error
      }
    }
    if let problem { throw problem }
  }

  /// Every row whose id an earlier row has. Called only when there is one.
  private func duplicates() -> Offenders {
    var seen: Set<ArraySlice<UInt8>> = []
    var offenders = Offenders()
    var start = 0
    for (index, end) in ends.enumerated() {
      let id = bytes[start..<end]
      if !seen.insert(id).inserted {
        offenders.add(index: index, id: String(decoding: id, as: UTF8.self))
      }
      start = end
    }
    return offenders
  }
}
