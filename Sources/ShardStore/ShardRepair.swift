// Writes a damaged file of a shard anew from what the others know: verified first, renamed then. The damaged file is
// never edited. Called by the scrub and by IngestService/Rebuild; ids.index: ShardSealer.swift.

package import SystemIO

/// Why a file could not be made again. Nothing was changed.
package enum RepairFailure: Error, Sendable {
  case disk(DiskError)
  /// What is known does not make a whole file.
  case notEnough(String)
}

extension RepairFailure: CustomStringConvertible {
  package var description: String {
    switch self {
    case .disk(let error): "\(error)"
    case .notEnough(let reason): reason
    }
  }
}

/// A batch or deletion as the catalog knows it.
package struct KnownBatch: Sendable {
  /// Its place, its checksums and its receipt; lengths and chain follow when it is written.
  package let record: CommitRecord
  package let ids: IDList

  package init(record: CommitRecord, ids: IDList) {
    self.record = record
    self.ids = ids
  }
}

package struct ShardRepair {
  private let opener: ShardOpener
  private let number: Int
  private var layout: ShardLayout { opener.collection.shard(number) }

  package init(_ opener: ShardOpener, number: Int) {
    self.opener = opener
    self.number = number
  }

  // MARK: - embeddings.npy

  /// Whether a sealed shard's file has another header than its seal record implies.
  package func headerIsWrong() throws(RepairFailure) -> Bool {
    do throws(DiskError) {
      guard let header = try expectedHeader() else { return false }
      let file = try opener.disk.openFile(layout.embeddings, for: .read)
      return try file.read(offset: 0, byteCount: ShardHeader.byteCount) != header
    } catch {
      throw .disk(error)
    }
  }

  /// Gives a sealed shard's file the header that its seal record implies.
  package func repairHeader() throws(RepairFailure) {
    do throws(DiskError) {
      guard let header = try expectedHeader() else { return }
      try copyRows(of: opener.disk.openFile(layout.embeddings, for: .read), behind: header)
    } catch {
      throw .disk(error)
    }
  }

  /// Nil when the shard is not sealed, or its file has another size.
  private func expectedHeader() throws(DiskError) -> [UInt8]? {
    let log = try opener.disk.openFile(layout.log, for: .read)
    let bytes = BytesInMemory(bytes: try log.read(offset: 0, byteCount: try log.byteCount()))
    let byteCount = try opener.disk.openFile(layout.embeddings, for: .read).byteCount()
    guard let seal = ShardVerifier.wholeSeal(bytes, identity: opener.identity(number)),
      byteCount == seal.table.fileByteCount
    else { return nil }
    return opener.geometry.header(rowCount: seal.record.rowCount).encoded
  }

  private func copyRows(of file: any DiskFile, behind header: [UInt8]) throws(DiskError) {
    let copy = try freshFile(layout.newEmbeddings)
    try copy.write(header, at: 0)
    let end = try file.byteCount()
    var offset = header.count
    while offset < end {
      let piece = try file.read(offset: offset, byteCount: min(1 << 20, end - offset))
      // Somebody cuts the file meanwhile.
      guard !piece.isEmpty else { throw .differs(layout.embeddings) }
      try copy.write(piece, at: offset)
      offset += piece.count
    }
    try copy.sync()
    // What was written is compared with what is kept, before it takes its place.
    offset = header.count
    while offset < end {
      let count = min(1 << 20, end - offset)
      guard
        try copy.read(offset: offset, byteCount: count)
          == file.read(offset: offset, byteCount: count)
      else { throw .differs(layout.newEmbeddings) }
      offset += count
    }
    try opener.disk.rename(layout.newEmbeddings, to: layout.embeddings)
    try opener.disk.syncDirectory(layout.root)
  }

  private func freshFile(_ path: String) throws(DiskError) -> any DiskFile {
    if try opener.disk.kind(of: path) != nil {
      try opener.disk.removeFile(path)
      // Durably, so that what an interrupted repair left does not get the name of the whole file.
      try opener.disk.syncDirectory(layout.root)
    }
    return try opener.disk.createFile(path)
  }

  // MARK: - commits.log

  /// Makes the log of a shard again from what the catalog knows of it, and seals the shard.
  ///
  /// - Parameters:
  ///   - batches: all of the shard's, in the order of their commit.
  ///   - replaced: the shards that it replaces, when it was compacted.
  /// - Returns: the rows whose checksums are not those that the catalog knows; they stay damaged.
  package func rebuildLog(
    from batches: [KnownBatch], replacing replaced: [Int]
  ) throws(RepairFailure) -> [Range<Int>] {
    var row = 0
    for batch in batches {
      guard batch.record.firstRow == row else {
        throw .notEnough("the catalog does not know rows \(row)..<\(batch.record.firstRow)")
      }
      row = batch.record.rows.upperBound
    }
    guard !batches.isEmpty else { throw .notEnough("the catalog knows no batch of it") }
    let mapping = try mapRows(byteCount: opener.geometry.offset(ofRow: row))
    do throws(DiskError) {
      try writeLog(batches, replacing: replaced, rowCount: row, embeddings: mapping)
    } catch {
      throw .disk(error)
    }
    return batches.map(\.record).filter { record in
      let bytes = opener.geometry.bytes(ofRows: record.rows)
      return unsafe mapping.withBytes(bytes) { CRC32C.of($0) } != record.rowsCRC32C
    }.map(\.rows)
  }

  private func mapRows(byteCount expected: Int) throws(RepairFailure) -> any DiskMapping {
    let found: Int
    do throws(DiskError) {
      let file = try opener.disk.openFile(layout.embeddings, for: .read)
      found = try file.byteCount()
      if found == expected { return try file.map(byteCount: found) }
    } catch {
      throw .disk(error)
    }
    throw .notEnough("embeddings.npy has \(found) bytes, and the catalog knows of \(expected)")
  }

  private func writeLog(
    _ batches: [KnownBatch], replacing replaced: [Int], rowCount: Int,
    embeddings: any DiskMapping
  ) throws(DiskError) {
    let identity = opener.identity(number)
    var chain = identity.seed
    var bytes: [UInt8] = []
    if !replaced.isEmpty {
      let first = CommitRecord.replacement(
        of: replaced, firstSequence: batches.first?.record.sequence ?? 0, chain: chain)
      (bytes, chain) = first.record.encoded(identity: identity, payload: first.payload)
    }
    for batch in batches {
      var record = batch.record
      record.previousCRC32C = chain
      let (encoded, crc32c) = record.encoded(identity: identity, payload: batch.ids.bytes)
      bytes += encoded
      chain = crc32c
    }
    let table = unsafe SealTable(
      of: embeddings, fileByteCount: opener.geometry.offset(ofRow: rowCount), seed: identity.seed)
    let seal = CommitRecord.seal(
      rowCount: rowCount, lastSequence: batches.last?.record.sequence ?? 0, chain: chain,
      table: table)
    bytes +=
      seal.encoded(
        identity: identity,
        payload: table.encoded(recordOverheadByteCount: CommitRecord.Layout.batchID)
      ).bytes
    let log = try freshFile(layout.newLog)
    try log.write(bytes, at: 0)
    try log.sync()
    guard try log.read(offset: 0, byteCount: bytes.count) == bytes else {
      throw .differs(layout.newLog)
    }
    // It points into the log that is lost.
    if try opener.disk.kind(of: layout.index) != nil { try opener.disk.removeFile(layout.index) }
    try opener.disk.rename(layout.newLog, to: layout.log)
    try opener.disk.syncDirectory(layout.root)
  }
}
