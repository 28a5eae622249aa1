// The ids of a batch, in the form in which commits.log keeps them (docs/shard-format.md "Ids").

internal import SystemIO

/// Row ids, one behind the other: for each a little-endian UInt16 byte count and that many bytes of UTF-8.
///
/// An `IDList` is checked: every id has 1 to 512 bytes, is UTF-8, and in a batch occurs once.
package struct IDList: Sendable, Equatable {
  /// The encoded list.
  package let bytes: [UInt8]
  /// Where each id's byte count starts in `bytes`; one per row.
  package let offsets: [UInt32]

  package static let idByteCountMax = 512
  /// What some editors put in front of UTF-8 text; before a list of ids it is no part of the first one.
  package static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

  package var count: Int { offsets.count }

  /// The bytes of the id of row `index`, without the byte count.
  package subscript(index: Int) -> ArraySlice<UInt8> {
    let start = Int(offsets[index])
    let byteCount = Int(bytes[start]) | Int(bytes[start + 1]) << 8
    return bytes[(start + 2)..<(start + 2 + byteCount)]
  }

  package func string(_ index: Int) -> String { String(decoding: self[index], as: UTF8.self) }

  fileprivate init(bytes: [UInt8], offsets: [UInt32]) {
    self.bytes = bytes
    self.offsets = offsets
  }
}

/// What is wrong with an id of a batch. Indices count rows of the batch from 0.
package enum IDProblem: Error, Equatable, Sendable {
  case empty(index: Int)
  case tooLong(index: Int, byteCount: Int)
  case notUTF8(index: Int)
  case duplicate(index: Int, firstIndex: Int, id: String)
  case listTooLong(byteCountMax: Int)
}

extension IDList {
  /// Collects ids one after the other, then checks them together.
  package struct Builder {
    private var bytes: [UInt8] = []
    private var offsets: [UInt32] = []
    /// Keeps offsets within 32 bits and a commit record within its limit.
    package static let listByteCountMax = 1 << 30

    package init(expecting count: Int = 0) {
      offsets.reserveCapacity(min(count, 1 << 20))
      bytes.reserveCapacity(min(count, 1 << 20) * 12)
    }

    package var count: Int { offsets.count }

    /// Adds the next id. The caller has made sure that it is UTF-8.
    package mutating func append(validUTF8 id: UnsafeRawBufferPointer) throws(IDProblem) {
      let byteCount = id.count
      guard byteCount > 0 else { throw .empty(index: count) }
      guard byteCount <= IDList.idByteCountMax else {
        throw .tooLong(index: count, byteCount: byteCount)
      }
      guard bytes.count + byteCount + 2 <= Self.listByteCountMax else {
        throw .listTooLong(byteCountMax: Self.listByteCountMax)
      }
      offsets.append(UInt32(bytes.count))
      bytes.append(UInt8(truncatingIfNeeded: byteCount))
      bytes.append(UInt8(truncatingIfNeeded: byteCount >> 8))
      unsafe bytes.append(contentsOf: id)
    }

    /// Adds the next id, whose bytes come from outside and may be anything.
    package mutating func append(_ id: UnsafeRawBufferPointer) throws(IDProblem) {
      guard unsafe String(validating: id, as: UTF8.self) != nil else {
        throw .notUTF8(index: count)
      }
      try unsafe append(validUTF8: id)
    }

    package mutating func append(_ id: String) throws(IDProblem) {
      var copy = id
      var problem: IDProblem?
      copy.withUTF8 { utf8 in
        do throws(IDProblem) { try unsafe append(validUTF8: UnsafeRawBufferPointer(utf8)) } catch {
          problem = error
        }
      }
      if let problem { throw problem }
    }

    /// Adds an integer as its decimal form.
    package mutating func append(_ id: some FixedWidthInteger) throws(IDProblem) {
      try append(String(id))
    }

    /// The list, in which ids may occur again.
    package consuming func finishWithRepetitions() -> IDList {
      IDList(bytes: bytes, offsets: offsets)
    }

    /// The list, when no id occurs twice.
    package consuming func finish() throws(IDProblem) -> IDList {
      let list = IDList(bytes: bytes, offsets: offsets)
      if let (first, second) = list.firstDuplicate() {
        throw .duplicate(index: second, firstIndex: first, id: list.string(second))
      }
      return list
    }
  }

  /// Some of the ids, in the order of their numbers.
  package func selecting(_ numbers: [Int]) -> IDList {
    var bytes: [UInt8] = []
    var offsets: [UInt32] = []
    for number in numbers {
      offsets.append(UInt32(bytes.count))
      let id = self[number]
      bytes += self.bytes[(id.startIndex - 2)..<id.endIndex]
    }
    return IDList(bytes: bytes, offsets: offsets)
  }

  /// The list in a commit record's `ids` section, whose checksum was already right.
  ///
  /// - Returns: `nil` when `bytes` is not exactly `count` well-formed ids.
  package init?(checkedBytes bytes: [UInt8], count: Int) {
    var offsets: [UInt32] = []
    offsets.reserveCapacity(count)
    var position = 0
    while offsets.count < count {
      guard position + 2 <= bytes.count else { return nil }
      offsets.append(UInt32(position))
      let byteCount = Int(bytes[position]) | Int(bytes[position + 1]) << 8
      guard (1...Self.idByteCountMax).contains(byteCount) else { return nil }
      position += 2 + byteCount
    }
    guard position == bytes.count else { return nil }
    self.init(bytes: bytes, offsets: offsets)
  }

  /// The list in a deletion's payload, whose checksum was already right.
  ///
  /// - Returns: `nil` when `bytes` are not well-formed ids up to their end.
  package init?(checkedBytes bytes: [UInt8]) {
    var count = 0
    var position = 0
    while position + 2 <= bytes.count {
      position += 2 + (Int(bytes[position]) | Int(bytes[position + 1]) << 8)
      count += 1
    }
    self.init(checkedBytes: bytes, count: count)
  }

  /// The list in the payload of a record of either kind.
  package init?(payload bytes: [UInt8], of record: CommitRecord) {
    switch record.kind {
    case .deletion: self.init(checkedBytes: bytes)
    case .batch, .compacted: self.init(checkedBytes: bytes, count: record.rowCount)
    case .replacement, .seal: self.init(bytes: [], offsets: [])
    }
  }

  /// Whether these bytes of a record, whose checksum was right, are ids up to their end, and one for each row.
  static func isWellFormed(_ bytes: UnsafeRawBufferPointer, of record: CommitRecord) -> Bool {
    var count = 0
    let isWhole = unsafe forEach(bytes) { _, _ in count += 1 }
    return switch record.kind {
    case .deletion: isWhole
    case .batch, .compacted: isWhole && count == record.rowCount
    case .replacement, .seal: true
    }
  }

  /// Lends every id of an encoded list, and where its byte count stands.
  ///
  /// - Returns: false, at the first that is malformed: the bytes may be a file's that others change.
  @inline(__always)
  static func forEach(
    _ bytes: UnsafeRawBufferPointer, _ body: (_ offset: Int, UnsafeRawBufferPointer) -> Void
  ) -> Bool {
    var position = 0
    while position < bytes.count {
      guard position + 2 <= bytes.count else { return false }
      let start = position + 2
      let byteCount = Int(unsafe bytes.integer(at: position, as: UInt16.self))
      guard (1...idByteCountMax).contains(byteCount), start + byteCount <= bytes.count else {
        return false
      }
      unsafe body(
        position, UnsafeRawBufferPointer(rebasing: bytes[start..<(start + byteCount)]))
      position = start + byteCount
    }
    return true
  }

  /// The hash by which indexes find an id. The seed is the store's own, so that nobody
  /// outside can choose ids that collide.
  package func hash(_ index: Int, seed: UInt64) -> UInt64 {
    unsafe self[index].withUnsafeBytes { XXH3.hash64($0, seed: seed) }
  }

  /// The first two rows with the same id, found with one table of row numbers.
  private func firstDuplicate() -> (first: Int, second: Int)? {
    guard count > 1 else { return nil }
    let capacity = (count * 2).nextPowerOfTwo
    var table = [Int32](repeating: -1, count: capacity)
    let seed = UInt64.random(in: .min ... .max)
    for index in 0..<count {
      var slot = Int(truncatingIfNeeded: hash(index, seed: seed)) & (capacity - 1)
      while table[slot] >= 0 {
        if self[Int(table[slot])] == self[index] { return (Int(table[slot]), index) }
        slot = (slot + 1) & (capacity - 1)
      }
      table[slot] = Int32(index)
    }
    return nil
  }
}

extension Int {
  /// The smallest power of two that is not smaller; 1 for 0 and below.
  package var nextPowerOfTwo: Int {
    self <= 1 ? 1 : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount)
  }
}
