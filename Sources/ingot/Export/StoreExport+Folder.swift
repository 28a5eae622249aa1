// `ingot export --layout clip-retrieval`: a file per shard, linked where nothing of it is dead. The folder:
// ExportFolder.swift. Read by embedding-reader, which wants the files of both folders in the same order and no empty one.

import ArgumentParser
import IngestService
import ShardStore
import SystemIO

extension StoreExport {
  /// As `clip-retrieval inference` names it.
  private static let idColumn = "image_path"

  func writeFolder(
    _ settings: ExportSettings, copies: Bool, _ report: inout ExportReport
  ) throws(Failure) {
    let path = settings.out ?? ""
    let folder = try ExportFolder(path, replaces: settings.replaces, interruption)
    var found = report
    try withLiveRows(startsChecked: false) { live throws(ExportFailure) in
      found.describe(ExportStream(live, of: collection, format: .npy))
      (found.files, found.linkedFiles, found.bytes) = ([], 0, 0)
      do throws(ExportFailure) {
        try ExportFailure.mapping { () throws(DiskError) in try folder.clear() }
        try fill(folder, live, copies: copies, &found)
      } catch {
        guard case .disk(let error) = error else { throw error }
        throw .failed(Failure(writing: path, error))
      }
    }
    found.unusableShards = collection.unusableShards.count
    try interruption.check()
    do throws(DiskError) { try folder.takeName() } catch {
      throw Failure(writing: path, error)
    }
    report = found
  }

  private func fill(
    _ folder: ExportFolder, _ live: LiveRows, copies: Bool, _ report: inout ExportReport
  ) throws(ExportFailure) {
    let places = live.parts.indices.filter { live.parts[$0].liveRowCount > 0 }
    let digitCount = String(max(0, places.count - 1)).count
    let total = live.rowCount * collection.opener.geometry.rowStride
    for (number, place) in places.enumerated() {
      let digits = String(number)
      let padded = String(repeating: "0", count: digitCount - digits.count) + digits
      let rows = live.only(place)
      // The ids first: a record that cannot be read takes rows out.
      let ids = try writeIDs(rows, "\(ExportFolder.metadata)/metadata_\(padded).parquet", folder)
      let file = try writeRows(
        rows, "\(ExportFolder.embeddings)/img_emb_\(padded).npy", folder, copies: copies,
        total: total, done: report.bytes)
      report.files += [file, ids]
      report.bytes += file.bytes + ids.bytes
      report.linkedFiles += file.isLinked ? 1 : 0
    }
  }

  private func writeRows(
    _ live: LiveRows, _ name: String, _ folder: ExportFolder, copies: Bool, total: Int, done: Int
  ) throws(ExportFailure) -> ExportReport.File {
    var stream = ExportStream(
      live, of: collection, format: .npy, pieceByteCount: Self.pieceByteCount)
    let byteCount = stream.byteCount ?? 0
    var isLinked = false
    if !copies, isWhole(live.parts[0]) {
      let shard = collection.opener.collection.shard(live.parts[0].shard.identity.number)
      isLinked = try ExportFailure.mapping { () throws(DiskError) in
        try folder.link(shard.embeddings, as: name)
      }
    }
    // A link is only read: every row of it has to be right.
    let file =
      isLinked
      ? nil : try ExportFailure.mapping { () throws(DiskError) in try folder.createFile(name) }
    var offset = 0
    try copy(&stream) { piece throws(DiskError) in
      try unsafe file?.write(piece, at: offset)
      offset += piece.count
      bar.show(byteCount: done + offset, of: total)
    }
    try ExportFailure.mapping { () throws(DiskError) in try file?.sync() }
    return ExportReport.File(
      path: name, rows: stream.rowCount, bytes: byteCount, crc32c: stream.crc32c.hexadecimal,
      isLinked: isLinked)
  }

  /// Whether the file of a shard is what would be written of it.
  private func isWhole(_ part: LiveRows.Part) -> Bool {
    part.shard.summary.isSealed && part.liveRowCount == part.rowCount
      && part.shard.headerRowCount == part.rowCount
  }

  private func writeIDs(
    _ live: LiveRows, _ name: String, _ folder: ExportFolder
  ) throws(ExportFailure) -> ExportReport.File {
    var parquet = ParquetIDs(column: Self.idColumn)
    var output = SummedFile()
    try ExportFailure.mapping { () throws(DiskError) in
      output.file = try folder.createFile(name)
      try output.append(parquet.start)
    }
    var ids = LiveRowIDs(live)
    var hasMore = true
    while hasMore {
      var page: [UInt8] = []
      do throws(RowDamaged) { hasMore = try ids.next { page = parquet.append($0) } } catch {
        throw .damaged(error)
      }
      try ExportFailure.mapping { () throws(DiskError) in try output.append(page) }
    }
    try ExportFailure.mapping { () throws(DiskError) in
      try output.append(parquet.finish())
      try output.file?.sync()
    }
    return ExportReport.File(
      path: name, rows: live.rowCount, bytes: output.byteCount,
      crc32c: output.crc32c.hexadecimal)
  }
}

/// A file that is written from start to end, with its checksum.
private struct SummedFile {
  var file: (any DiskFile)?
  var byteCount = 0
  var crc32c: UInt32 = 0

  mutating func append(_ bytes: [UInt8]) throws(DiskError) {
    guard !bytes.isEmpty else { return }
    try file?.write(bytes, at: byteCount)
    crc32c = CRC32C.of(bytes, continuing: crc32c)
    byteCount += bytes.count
  }
}
