// The ids of a broken file's rows, checked once and kept in a temporary file without a name, to be gone through again.

internal import ShardStore
package import SystemIO

/// What is wrong with an id; entries are numbered from 1, in the order in which they came.
package enum IDSpoolProblem: Error, Equatable, Sendable {
  case empty(entry: Int)
  case tooLong(entry: Int, byteCount: Int)
  case notUTF8(entry: Int)
  case duplicate(entry: Int, firstEntry: Int, id: String)
  /// The list of lost ids has one on each line.
  case lineBreak(entry: Int)
  /// Rows come in ascending order, none twice.
  case outOfOrder(entry: Int, row: Int, previousRow: Int)
  case disk(DiskError)
}

/// Ids in the order of their rows, in constant memory but for 16 bytes each, by which duplicates are found.
package struct IDSpool {
  package private(set) var count = 0
  /// Of the last id; nil when there is none.
  package private(set) var lastRow: Int?
  private let file: any DiskFile
  private var hashes = IDHashes()
  private var pending: [UInt8] = []
  private var end = 0

  private static let pendingByteCountMax = 256 << 10
  /// Row (8), byte count (2).
  static let prefixByteCount = 10

  /// - Parameter directory: For temporary files.
  package init(inDirectory directory: String, disk: any Disk = RealDisk()) throws(DiskError) {
    let number = String(UInt64.random(in: .min ... .max), radix: 16)
    let path = "\(directory)/ingot-ids-\(number)"
    file = try disk.createFile(path)
    // Its bytes go away with the process, however that ends.
    try disk.removeFile(path)
  }

  /// Adds the id of a row.
  @safe
  package mutating func append(
    _ id: UnsafeRawBufferPointer, row: Int
  ) throws(IDSpoolProblem) {
    let entry = count + 1
    guard id.count > 0 else { throw .empty(entry: entry) }
    guard id.count <= IDList.idByteCountMax else {
      throw .tooLong(entry: entry, byteCount: id.count)
    }
    switch unsafe IDText(id) {
    case .plain: break
    case .withLineBreak: throw .lineBreak(entry: entry)
    case .notUTF8: throw .notUTF8(entry: entry)
    }
    if let lastRow, row <= lastRow {
      throw .outOfOrder(entry: entry, row: row, previousRow: lastRow)
    }
    if !hashes.insert(id), let first = try firstEntry(of: unsafe [UInt8](id)) {
      throw .duplicate(
        entry: entry, firstEntry: first, id: unsafe String(decoding: id, as: UTF8.self))
    }
    unsafe write(id, row: row)
    count = entry
    lastRow = row
    if pending.count >= Self.pendingByteCountMax { try flush() }
  }

  private mutating func write(_ id: UnsafeRawBufferPointer, row: Int) {
    for shift in stride(from: 0, to: 64, by: 8) {
      pending.append(UInt8(truncatingIfNeeded: row >> shift))
    }
    pending.append(UInt8(truncatingIfNeeded: id.count))
    pending.append(UInt8(truncatingIfNeeded: id.count >> 8))
    unsafe pending.append(contentsOf: id)
  }

  private mutating func flush() throws(IDSpoolProblem) {
    do throws(DiskError) { try file.write(pending, at: end) } catch { throw .disk(error) }
    end += pending.count
    pending.removeAll(keepingCapacity: true)
  }

  /// Equal hashes are nearly always equal ids; here it is made certain.
  private mutating func firstEntry(of id: [UInt8]) throws(IDSpoolProblem) -> Int? {
    try flush()
    var reader = IDSpoolReader(file, end: end)
    var entry = 0
    do throws(DiskError) {
      while let found = try reader.next() {
        entry += 1
        if found.id.elementsEqual(id) { return entry }
      }
    } catch {
      throw .disk(error)
    }
    return nil
  }

  /// Goes through all ids from the first. Nothing is added from here on.
  package mutating func reader() throws(IDSpoolProblem) -> IDSpoolReader {
    try flush()
    return IDSpoolReader(file, end: end)
  }
}

/// What can be said of the bytes of an id.
private enum IDText {
  case plain, withLineBreak, notUTF8

  init(_ bytes: UnsafeRawBufferPointer) {
    var isASCII = true
    var hasLineBreak = false
    for index in bytes.indices {
      let byte = unsafe bytes[index]
      isASCII = isASCII && byte < 0x80
      hasLineBreak = hasLineBreak || byte == UInt8(ascii: "\n")
    }
    if hasLineBreak {
      self = .withLineBreak
    } else if isASCII || (unsafe String(validating: bytes, as: UTF8.self)) != nil {
      self = .plain
    } else {
      self = .notUTF8
    }
  }
}

/// Reads a spool in order.
package struct IDSpoolReader {
  private let file: any DiskFile
  private let end: Int
  private var offset = 0
  private var buffer: [UInt8] = []
  private var position = 0

  private static let bufferByteCount = 256 << 10

  init(_ file: any DiskFile, end: Int) {
    self.file = file
    self.end = end
  }

  /// The next id and its row; nil at the end.
  package mutating func next() throws(DiskError) -> (row: Int, id: ArraySlice<UInt8>)? {
    if buffer.count - position < IDSpool.prefixByteCount + IDList.idByteCountMax { try fill() }
    guard position < buffer.count else { return nil }
    let row = (0..<8).reversed().reduce(0) { $0 << 8 | Int(buffer[position + $1]) }
    let byteCount = Int(buffer[position + 8]) | Int(buffer[position + 9]) << 8
    let start = position + IDSpool.prefixByteCount
    position = start + byteCount
    return (row, buffer[start..<position])
  }

  private mutating func fill() throws(DiskError) {
    guard offset < end else { return }
    let count = min(Self.bufferByteCount, end - offset)
    buffer = Array(buffer[position...]) + (try file.read(offset: offset, byteCount: count))
    position = 0
    offset += count
  }
}
