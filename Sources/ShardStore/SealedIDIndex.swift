// Finds rows by id in a sealed shard. Format: docs/shard-format.md "ids.index".
// Made from OpenIDIndex.swift by ShardSealer.swift; made again from the log when it is lost.

package import SystemIO

/// A mapped ids.index whose header and entries were right.
package final class SealedIDIndex: Sendable {
  private let mapping: any DiskMapping
  let count: Int
  /// As it was when the entries were right: a file that was cut has another one.
  private let lastEntry: IDIndexEntry

  static let magic = Array("INGOTIDX".utf8)
  static let version: UInt32 = 1

  enum Layout {
    static let magic = 0
    static let version = magic + 8
    static let shardNumber = version + 4
    static let storeUUID = shardNumber + 4
    static let collectionUUID = storeUUID + 16
    static let count = collectionUUID + 16
    static let entriesCRC32C = count + 8
    static let headerCRC32C = entriesCRC32C + 4
    static let entries = headerCRC32C + 4
  }

  /// The file of an index.
  static func encoded(_ entries: [IDIndexEntry], identity: ShardIdentity) -> [UInt8] {
    var body = ByteWriter(reserving: entries.count * IDIndexEntry.byteCount)
    for entry in entries {
      body.append(entry.hash)
      body.append(entry.place)
      body.append(entry.idOffset)
    }
    var head = ByteWriter(reserving: Layout.entries + body.bytes.count)
    head.append(magic)
    head.append(version)
    head.append(UInt32(identity.number))
    head.append(identity.store.bytes)
    head.append(identity.collection.bytes)
    head.append(UInt64(entries.count))
    head.append(CRC32C.of(body.bytes, continuing: identity.seed))
    head.append(CRC32C.of(head.bytes, continuing: identity.seed))
    head.append(body.bytes)
    return head.bytes
  }

  /// An index without a file.
  init(_ entries: [IDIndexEntry], identity: ShardIdentity) {
    mapping = BytesInMemory(bytes: Self.encoded(entries, identity: identity))
    count = entries.count
    lastEntry = entries.last ?? .none
  }

  /// Maps and checks an index.
  ///
  /// - Returns: nil when it is missing, damaged, of another shard, or not of `rowCount` rows: it is
  ///   derived, so the caller makes it again.
  package init?(_ path: String, disk: any Disk, identity: ShardIdentity) {
    guard let file = try? disk.openFile(path, for: .read),
      let byteCount = try? file.byteCount(), byteCount >= Layout.entries,
      let mapping = try? file.map(byteCount: byteCount),
      let header = try? Header(file, byteCount: byteCount, identity: identity)
    else { return nil }
    let entriesCRC32C = unsafe mapping.withBytes(Layout.entries..<byteCount) {
      CRC32C.of($0, continuing: identity.seed)
    }
    guard header.entriesCRC32C == entriesCRC32C else { return nil }
    self.mapping = mapping
    count = header.count
    lastEntry = count == 0 ? .none : Self.entry(count - 1, in: mapping)
  }

  /// What stands before the entries.
  struct Header {
    let count: Int
    let entriesCRC32C: UInt32

    /// Nil when it is damaged, of another shard, or not of a file of this size.
    init?(_ file: any DiskFile, byteCount: Int, identity: ShardIdentity) throws(DiskError) {
      let head = try file.read(offset: 0, byteCount: Layout.entries)
      guard head.count == Layout.entries, Array(head[..<8]) == SealedIDIndex.magic else {
        return nil
      }
      let reader = ByteReader(head)
      let count: UInt64 = reader.integer(at: Layout.count)
      guard
        reader.integer(at: Layout.headerCRC32C)
          == CRC32C.of(Array(head[..<Layout.headerCRC32C]), continuing: identity.seed),
        reader.integer(at: Layout.version) == SealedIDIndex.version,
        count < 1 << 32, byteCount == Layout.entries + Int(count) * IDIndexEntry.byteCount
      else { return nil }
      self.count = Int(count)
      entriesCRC32C = reader.integer(at: Layout.entriesCRC32C)
    }
  }

  /// Whether another program has cut the file since its entries were right.
  var isCut: Bool {
    let end = Layout.entries + count * IDIndexEntry.byteCount
    return count > 0
      && (mapping.mayBeLost(0..<0, contentEnd: end) || entry(count - 1) != lastEntry)
  }

  /// Lends all entries: on disk they are what they are in memory on a little-endian machine.
  func withEntries<Result>(
    _ body: (UnsafeBufferPointer<IDIndexEntry>) -> Result
  ) -> Result {
    let end = Layout.entries + count * IDIndexEntry.byteCount
    return unsafe mapping.withBytes(Layout.entries..<end) { bytes in
      unsafe bytes.withMemoryRebound(to: IDIndexEntry.self, body)
    }
  }

  /// The entry at a position in the order of hashes.
  func entry(_ position: Int) -> IDIndexEntry { Self.entry(position, in: mapping) }

  private static func entry(_ position: Int, in mapping: any DiskMapping) -> IDIndexEntry {
    let start = Layout.entries + position * IDIndexEntry.byteCount
    return unsafe mapping.withBytes(start..<(start + IDIndexEntry.byteCount)) {
      IDIndexEntry(
        hash: unsafe $0.integer(at: 0), place: unsafe $0.integer(at: 8),
        idOffset: unsafe $0.integer(at: 12))
    }
  }

  /// The entries with this hash, newest first.
  func candidates(_ hash: UInt64) -> [IDIndexEntry] {
    var low = 0
    var high = count
    while low < high {
      let middle = low + (high - low) / 2
      if entry(middle).hash < hash { low = middle + 1 } else { high = middle }
    }
    var found: [IDIndexEntry] = []
    while low < count {
      let next = entry(low)
      guard next.hash == hash else { break }
      found.append(next)
      low += 1
    }
    return found.reversed()
  }
}
