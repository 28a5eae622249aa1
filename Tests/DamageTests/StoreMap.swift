// What each byte of a store belongs to, from its files while they are whole. The measure for what a verification
// has to name: Judgement.swift.

import Foundation
import ShardStore
import SystemIO

struct ShardKey: Hashable, Comparable, CustomStringConvertible {
  let collection: String
  let number: Int

  var path: String {
    "collections/\(collection)/shards/\(ShardIdentity.directoryName(number))"
  }
  var description: String { "\(collection)/\(number)" }

  static func < (left: Self, right: Self) -> Bool {
    (left.collection, left.number) < (right.collection, right.number)
  }
}

/// Where the batches of a store are.
struct StoreMap {
  struct Batch {
    let rows: Range<Int>
    let ids: [String]
    /// In embeddings.npy.
    let rowBytes: Range<Int>
    /// In commits.log.
    let recordBytes: Range<Int>
  }

  struct Shard {
    let key: ShardKey
    var batches: [Batch] = []
    var isSealed = false
    /// Where the seal record or the tail starts.
    var logEnd = 0
    var rowsEnd = ShardHeader.byteCount

    var rowCount: Int { batches.last?.rows.upperBound ?? 0 }
  }

  private(set) var shards: [ShardKey: Shard] = [:]

  init(_ store: ReferenceStore) throws {
    let identity = try Self.json(store.layout.storeFile)
    let names = try RealDisk().names(inDirectory: store.layout.collections)
    for name in names {
      let layout = store.layout.collection(name)
      let file = try Self.json(layout.collectionFile)
      for shard in try RealDisk().names(inDirectory: layout.shards) {
        guard let number = ShardIdentity.number(ofDirectoryName: shard),
          let storeUUID = StoreUUID(identity["store_uuid"] as? String ?? ""),
          let collectionUUID = StoreUUID(file["collection_uuid"] as? String ?? ""),
          let dtype = Dtype(rawValue: file["dtype"] as? String ?? ""),
          let dimension = file["dimension"] as? Int
        else { throw CocoaError(.fileReadCorruptFile) }
        let key = ShardKey(collection: name, number: number)
        shards[key] = try Self.shard(
          key, layout.shard(number),
          ShardIdentity(store: storeUUID, collection: collectionUUID, number: number),
          ShardGeometry(dimension: dimension, dtype: dtype, shardByteCount: 1 << 20))
      }
    }
  }

  private static func json(_ path: String) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
  }

  private static func shard(
    _ key: ShardKey, _ layout: ShardLayout, _ identity: ShardIdentity, _ geometry: ShardGeometry
  ) throws -> Shard {
    let log = try RealDisk().openFile(layout.log, for: .read)
    let byteCount = try log.byteCount()
    let mapping = try log.map(byteCount: byteCount)
    var reader = LogReader(mapping, identity: identity, range: 0..<byteCount)
    var shard = Shard(key: key)
    while let found = try? reader.next() {
      if found.record.kind == .seal {
        shard.isSealed = true
        break
      }
      let list = IDList(
        checkedBytes: LogReader.payload(of: found, in: mapping), count: found.record.rowCount)
      let rowBytes = geometry.bytes(ofRows: found.record.rows)
      shard.batches.append(
        Batch(
          rows: found.record.rows,
          ids: list.map { list in (0..<list.count).map(list.string) } ?? [],
          rowBytes: rowBytes, recordBytes: found.offset..<found.end))
      shard.logEnd = found.end
      shard.rowsEnd = rowBytes.upperBound
    }
    return shard
  }
}

/// What a damage touches.
struct Touched: Equatable {
  /// Changed files that are in no shard, by path.
  var files: Set<String> = []
  /// Shards with a changed byte, and which of their batches it belongs to.
  var batches: [ShardKey: Set<Int>] = [:]
  /// Batches whose record is whole and in another place of its log.
  var displaced: [ShardKey: Set<Int>] = [:]
  /// Of the rows of the shard that was touched last.
  var blocks: Set<Int> = []
  /// A header that can say another number of rows.
  var headers: Set<ShardKey> = []
  /// Nothing but bytes behind the last row or record of an open shard.
  var isTailOnly = true

  var isAnything: Bool { !files.isEmpty || !batches.isEmpty }
}

extension StoreMap {
  /// Adds a range of bytes of a file.
  ///
  /// - Parameter isChanged: Whether any byte of a part of the range is another one than before.
  func touch(
    _ path: String, _ bytes: Range<Int>, _ touched: inout Touched,
    where isChanged: (Range<Int>) -> Bool = { _ in true }
  ) {
    guard isChanged(bytes) else { return }
    guard let (key, name) = Self.shardFile(path), let shard = shards[key] else {
      touched.files.insert(path)
      touched.isTailOnly = false
      return
    }
    func touches(_ part: Range<Int>) -> Bool {
      part.overlaps(bytes) && isChanged(part.clamped(to: bytes))
    }
    var indices = touched.batches[key] ?? []
    switch name {
    case "embeddings.npy":
      touched.blocks = Set(
        (bytes.lowerBound / SealTable.blockByteCount)...((bytes.upperBound - 1)
          / SealTable.blockByteCount))
      for (index, batch) in shard.batches.enumerated() where touches(batch.rowBytes) {
        indices.insert(index)
      }
      if touches(0..<ShardHeader.byteCount) { touched.headers.insert(key) }
      if shard.isSealed || touches(0..<shard.rowsEnd) { touched.isTailOnly = false }
    case "commits.log":
      for (index, batch) in shard.batches.enumerated() where touches(batch.recordBytes) {
        indices.insert(index)
      }
      if shard.isSealed || touches(0..<shard.logEnd) { touched.isTailOnly = false }
    default:
      touched.isTailOnly = false
    }
    touched.batches[key] = indices
  }

  /// All of a shard.
  func touchAll(_ key: ShardKey, _ touched: inout Touched) {
    touched.batches[key] = Set(shards[key]?.batches.indices ?? 0..<0)
    touched.headers.insert(key)
    touched.isTailOnly = false
  }

  /// Adds the batches whose records lie within a part of a log that was put in another place of it.
  func displace(_ path: String, _ bytes: Range<Int>, _ touched: inout Touched) {
    guard let (key, name) = Self.shardFile(path), let shard = shards[key], name == "commits.log"
    else {
      return
    }
    for (index, batch) in shard.batches.enumerated()
    where bytes.lowerBound <= batch.recordBytes.lowerBound
      && batch.recordBytes.upperBound <= bytes.upperBound
    {
      touched.displaced[key, default: []].insert(index)
    }
  }

  private static func shardFile(_ path: String) -> (ShardKey, name: String)? {
    let parts = path.split(separator: "/").map(String.init)
    guard parts.count == 5, parts[0] == "collections", parts[2] == "shards",
      let number = ShardIdentity.number(ofDirectoryName: parts[3])
    else { return nil }
    return (ShardKey(collection: parts[1], number: number), parts[4])
  }
}

extension StoreMap {
  func isOfOpenShard(_ path: String) -> Bool {
    Self.shardFile(path).map { shards[$0.0]?.isSealed == false } ?? false
  }
}
