// A Parquet file of one column of text: the ids of exported rows, which embedding-reader takes as metadata.
// Source: apache/parquet-format, README.md and parquet.thrift; Thrift's compact protocol, thrift-compact-protocol.md.

import SystemIO

/// Makes the bytes of a file, page by page: plain strings, not compressed, in one row group.
struct ParquetIDs {
  private let column: String
  private var page: [UInt8] = []
  private var pageRowCount = 0
  private var rowCount = 0
  /// Of the pages that were made, with their headers.
  private var pagesByteCount = 0

  private static let magic = Array("PAR1".utf8)
  /// About what is kept in memory.
  private static let pageByteCount = 256 << 10

  init(column: String) { self.column = column }

  /// What stands before the first page.
  var start: [UInt8] { Self.magic }

  /// - Returns: a page when one is full; empty otherwise.
  mutating func append(_ id: ArraySlice<UInt8>) -> [UInt8] {
    for shift in stride(from: 0, to: 32, by: 8) {
      page.append(UInt8(truncatingIfNeeded: id.count >> shift))
    }
    page += id
    pageRowCount += 1
    return page.count >= Self.pageByteCount ? endPage() : []
  }

  /// The last page, and what is said of all of them.
  mutating func finish() -> [UInt8] {
    let last = page.isEmpty ? [] : endPage()
    let description = fileDescription
    return last + description + ThriftCompact.little(description.count) + Self.magic
  }

  private mutating func endPage() -> [UInt8] {
    let checksum = unsafe page.withUnsafeBytes { ZipCRC32.of($0) }
    var header = ThriftCompact()
    header.integer(1, 0)  // type: DATA_PAGE
    header.integer(2, page.count)
    header.integer(3, page.count)
    header.integer(4, Int(Int32(bitPattern: checksum)))
    header.structure(5) { data in
      data.integer(1, pageRowCount)
      data.integer(2, Encoding.plain)
      data.integer(3, Encoding.rle)
      data.integer(4, Encoding.rle)
    }
    let bytes = header.ended + page
    pagesByteCount += bytes.count
    rowCount += pageRowCount
    (page, pageRowCount) = ([], 0)
    return bytes
  }

  private enum Encoding {
    static let plain = 0
    static let rle = 3
  }

  /// FileMetaData.
  private var fileDescription: [UInt8] {
    var file = ThriftCompact()
    file.integer(1, 1)  // version
    file.list(2, of: [rootElement, columnElement])
    file.integer(3, rowCount, isLong: true)
    file.list(4, of: [rowGroup])
    file.text(6, "ingot version \(IngotVersion.current)")
    return file.ended
  }

  private var rootElement: ThriftCompact {
    var element = ThriftCompact()
    element.text(4, "schema")
    element.integer(5, 1)  // children
    return element
  }

  private var columnElement: ThriftCompact {
    var element = ThriftCompact()
    element.integer(1, 6)  // type: BYTE_ARRAY
    element.integer(3, 0)  // repetition: REQUIRED
    element.text(4, column)
    element.integer(6, 0)  // converted type: UTF8
    element.structure(10) { $0.structure(1) { _ in } }  // logical type: STRING
    return element
  }

  private var rowGroup: ThriftCompact {
    var group = ThriftCompact()
    group.list(1, of: [columnChunk])
    group.integer(2, pagesByteCount, isLong: true)
    group.integer(3, rowCount, isLong: true)
    return group
  }

  private var columnChunk: ThriftCompact {
    var chunk = ThriftCompact()
    chunk.integer(2, Self.magic.count, isLong: true)
    chunk.structure(3) { column in
      column.integer(1, 6)  // type: BYTE_ARRAY
      column.integers(2, [Encoding.plain, Encoding.rle])
      column.texts(3, [self.column])
      column.integer(4, 0)  // codec: UNCOMPRESSED
      column.integer(5, rowCount, isLong: true)
      column.integer(6, pagesByteCount, isLong: true)
      column.integer(7, pagesByteCount, isLong: true)
      column.integer(9, Self.magic.count, isLong: true)  // first page
    }
    return chunk
  }
}

/// One structure in Thrift's compact protocol; its fields are added in the order of their numbers.
private struct ThriftCompact {
  private var bytes: [UInt8] = []
  private var lastField = 0

  private enum Kind {
    static let int32: UInt8 = 5
    static let int64: UInt8 = 6
    static let binary: UInt8 = 8
    static let list: UInt8 = 9
    static let structure: UInt8 = 12
  }

  /// The bytes of the structure.
  var ended: [UInt8] { bytes + [0] }

  mutating func integer(_ field: Int, _ value: Int, isLong: Bool = false) {
    begin(field, isLong ? Kind.int64 : Kind.int32)
    bytes += Self.varint(Self.zigzag(value))
  }

  mutating func text(_ field: Int, _ value: String) {
    begin(field, Kind.binary)
    bytes += Self.binary(value)
  }

  mutating func structure(_ field: Int, _ fill: (inout ThriftCompact) -> Void) {
    begin(field, Kind.structure)
    var inner = ThriftCompact()
    fill(&inner)
    bytes += inner.ended
  }

  mutating func list(_ field: Int, of elements: [ThriftCompact]) {
    beginList(field, count: elements.count, Kind.structure)
    for element in elements { bytes += element.ended }
  }

  mutating func integers(_ field: Int, _ values: [Int]) {
    beginList(field, count: values.count, Kind.int32)
    for value in values { bytes += Self.varint(Self.zigzag(value)) }
  }

  mutating func texts(_ field: Int, _ values: [String]) {
    beginList(field, count: values.count, Kind.binary)
    for value in values { bytes += Self.binary(value) }
  }

  private mutating func begin(_ field: Int, _ kind: UInt8) {
    precondition((1...15).contains(field - lastField), "fields come in their order")
    bytes.append(UInt8(field - lastField) << 4 | kind)
    lastField = field
  }

  private mutating func beginList(_ field: Int, count: Int, _ kind: UInt8) {
    precondition(count < 15, "longer lists have another form")
    begin(field, Kind.list)
    bytes.append(UInt8(count) << 4 | kind)
  }

  static func little(_ value: Int) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  private static func binary(_ value: String) -> [UInt8] {
    varint(UInt64(value.utf8.count)) + Array(value.utf8)
  }

  private static func zigzag(_ value: Int) -> UInt64 {
    UInt64(bitPattern: Int64(value << 1 ^ (value >> 63)))
  }

  private static func varint(_ value: UInt64) -> [UInt8] {
    var rest = value
    var bytes: [UInt8] = []
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }
}
