// Reads commits.log record by record. Format: docs/shard-format.md "commits.log".

package import SystemIO

/// Goes through the records of a log, checking each by itself.
package struct LogReader {
  private let mapping: any DiskMapping
  private let identity: ShardIdentity
  /// Where the next record starts, and where reading ends.
  package private(set) var offset: Int
  private let end: Int

  package init(
    _ mapping: any DiskMapping, identity: ShardIdentity, range: Range<Int>
  ) {
    self.mapping = mapping
    self.identity = identity
    offset = range.lowerBound
    end = range.upperBound
  }

  package struct Found: Sendable {
    package let offset: Int
    package let record: CommitRecord

    package var end: Int { offset + record.byteCount }
  }

  /// The next record.
  ///
  /// - Returns: nil at the end of the range.
  /// - Throws: why there is no record here; reading does not go on by itself.
  package mutating func next() throws(CommitRecord.Problem) -> Found? {
    guard offset < end else { return nil }
    let record = try unsafe mapping.withBytes(offset..<end) { bytes throws(CommitRecord.Problem) in
      try unsafe CommitRecord.decode(bytes, identity: identity)
    }
    defer { offset += record.byteCount }
    return Found(offset: offset, record: record)
  }

  /// Goes to the next place at which a whole record of this shard can be recognised.
  ///
  /// - Returns: false when there is none.
  package mutating func skipDamage() -> Bool {
    var candidate = offset + CommitRecord.alignment
    while candidate + CommitRecord.Layout.batchID <= end {
      let isRecord = unsafe mapping.withBytes(candidate..<end) { bytes in
        unsafe bytes[..<8].elementsEqual(CommitRecord.magic)
          && (try? CommitRecord.decode(bytes, identity: identity)) != nil
      }
      if isRecord {
        offset = candidate
        return true
      }
      candidate += CommitRecord.alignment
    }
    return false
  }

  /// The bytes behind a record's batch id: ids, or the seal table.
  package static func payload(of found: Found, in mapping: any DiskMapping) -> [UInt8] {
    withPayload(of: found, in: mapping) { unsafe [UInt8]($0) }
  }

  /// Lends the same bytes where they are.
  @safe
  static func withPayload<Result>(
    of found: Found, in mapping: any DiskMapping, _ body: (UnsafeRawBufferPointer) -> Result
  ) -> Result {
    let start = found.offset + found.record.payloadOffset
    return unsafe mapping.withBytes(start..<(start + found.record.contentByteCount), body)
  }

  /// The numbers in a replacement record.
  static func replacedShards(_ found: Found, in mapping: any DiskMapping) -> [Int] {
    let reader = ByteReader(payload(of: found, in: mapping))
    return (0..<(reader.bytes.count / 4)).map { Int(reader.integer(at: 4 * $0, as: UInt32.self)) }
  }

  /// Whether everything from `offset` to the end is zero.
  package func restIsZero() -> Bool {
    unsafe mapping.withBytes(offset..<end) { bytes in unsafe bytes.isAllZero }
  }
}

extension UnsafeRawBufferPointer {
  /// Whether every byte is zero, looked at eight at a time.
  package var isAllZero: Bool {
    var position = 0
    while position + 8 <= count {
      if unsafe loadUnaligned(fromByteOffset: position, as: UInt64.self) != 0 { return false }
      position += 8
    }
    while position < count {
      if unsafe self[position] != 0 { return false }
      position += 1
    }
    return true
  }
}
