// The ids of a broken file's rows, checked once and kept in a file without a name, to be gone through again.

internal import ShardStore
package import SystemIO

/// What is wrong with an id; entries are numbered from 1, in the order in which they came.
package enum IDSpoolProblem: Error, Equatable, Sendable {
  case flaw(IDFlaw)
  case duplicate(firstEntry: Int, id: String)
  /// Rows come in ascending order, none twice.
  case outOfOrder(row: Int, previousRow: Int)
  case disk(DiskError)
}

/// Ids in the order of their rows, in constant memory but for 16 bytes each, by which duplicates are found.
package struct IDSpool {
  package private(set) var count = 0
  private var lastRow: Int?
  private let spool: Spool
  private var hashes = IDHashes()
  private var pending: [UInt8] = []

  private static let pendingByteCountMax = 256 << 10
  /// Row (8), byte count (2).
  static let prefixByteCount = 10

  /// - Parameter directory: For temporary files.
  package init(inDirectory directory: String) { spool = Spool(directory: directory) }

  /// Adds the id of a row.
  @safe
  package mutating func append(
    _ id: UnsafeRawBufferPointer, row: Int
  ) throws(IDSpoolProblem) {
    if let flaw = unsafe IDFlaw(id) { throw .flaw(flaw) }
    if let lastRow, row <= lastRow { throw .outOfOrder(row: row, previousRow: lastRow) }
    if !hashes.insert(id), let first = try firstEntry(of: unsafe [UInt8](id)) {
      throw .duplicate(firstEntry: first, id: unsafe String(decoding: id, as: UTF8.self))
    }
    unsafe keep(id, row: row)
    count += 1
    lastRow = row
    if pending.count >= Self.pendingByteCountMax { try flush() }
  }

  private mutating func keep(_ id: UnsafeRawBufferPointer, row: Int) {
    unsafe withUnsafeBytes(of: UInt64(row).littleEndian) {
      unsafe pending.append(contentsOf: $0)
    }
    unsafe withUnsafeBytes(of: UInt16(id.count).littleEndian) {
      unsafe pending.append(contentsOf: $0)
    }
    unsafe pending.append(contentsOf: id)
  }

  private mutating func flush() throws(IDSpoolProblem) {
    do throws(DiskError) { try spool.append(pending) } catch { throw .disk(error) }
    pending.removeAll(keepingCapacity: true)
  }

  /// Equal hashes are nearly always equal ids; here it is made certain.
  private mutating func firstEntry(of id: [UInt8]) throws(IDSpoolProblem) -> Int? {
    var reader = try reader()
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

  /// Goes through all ids that were added so far, from the first.
  package mutating func reader() throws(IDSpoolProblem) -> IDSpoolReader {
    try flush()
    return IDSpoolReader(spool)
  }
}

/// Reads a spool in order.
package struct IDSpoolReader {
  private let spool: Spool
  private var offset = 0
  private var buffer: [UInt8] = []
  private var position = 0

  private static let bufferByteCount = 256 << 10

  init(_ spool: Spool) { self.spool = spool }

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

  /// A spool gives less than was asked for where its file ends and its memory begins.
  private mutating func fill() throws(DiskError) {
    buffer.removeSubrange(..<position)
    position = 0
    while buffer.count < Self.bufferByteCount {
      let piece = try spool.read(at: offset, byteCountMax: Self.bufferByteCount)
      if piece.isEmpty { return }
      buffer += piece
      offset += piece.count
    }
  }
}
