// Keeps damaged originals with a note each, and takes their rows out of service again after a restart.

internal import Foundation
internal import ShardStore
internal import SystemIO

/// The folder `quarantine` of a store. Nothing in it is ever changed or removed by the program.
struct Quarantine: Sendable {
  let layout: StoreLayout
  let disk: any Disk
  /// Free space that a copy has to leave.
  let reserveByteCount: Int

  /// Writes a note, and copies the shard's files beside it as they are now.
  ///
  /// - Returns: the folder.
  func keep(_ note: QuarantineNote, files: [String]) throws(DiskError) -> String {
    if try disk.kind(of: layout.quarantine) == nil {
      try disk.makeDirectory(layout.quarantine)
    }
    let folder = try newFolder(for: note)
    var note = note
    do throws(DiskError) {
      for path in files {
        guard let unreadable = try keep(path, in: folder) else { continue }
        note.kept.append(Self.name(of: path))
        if let first = unreadable.first {
          note.notKept =
            "\(unreadable.count) pieces of \(Self.name(of: path)) could not be read, the first at byte "
            + "\(first.lowerBound); they are zeros in the copy"
        }
      }
    } catch {
      note.notKept = "\(error)"
    }
    // What a note says that is kept has its name before the note has.
    try disk.syncDirectory(folder)
    let file = try disk.createFile(folder + "/note.json")
    try file.write(note.encoded, at: 0)
    try file.sync()
    try disk.syncDirectory(folder)
    try disk.syncDirectory(layout.quarantine)
    // Also when it was there: whoever made it may not have lived to sync its name.
    try disk.syncDirectory(layout.root)
    return folder
  }

  private func newFolder(for note: QuarantineNote) throws(DiskError) -> String {
    let base =
      "\(layout.quarantine)/\(note.collection).\(ShardIdentity.directoryName(note.shard))"
    var number = 1
    while try disk.kind(of: "\(base).\(number)") != nil { number += 1 }
    try disk.makeDirectory("\(base).\(number)")
    return "\(base).\(number)"
  }

  /// - Returns: what could not be read of it; nil when there is no such file.
  private func keep(_ path: String, in folder: String) throws(DiskError) -> [Range<Int>]? {
    guard try disk.kind(of: path) == .file else { return nil }
    let byteCount = try disk.openFile(path, for: .read).byteCount()
    let free = try disk.space(at: layout.root).freeByteCount
    guard free - byteCount >= reserveByteCount else {
      throw .noSpace("copy \(byteCount) bytes", path)
    }
    return try disk.copyFile(path, to: folder + "/" + Self.name(of: path))
  }

  private static func name(of path: String) -> String {
    String(path.split(separator: "/").last ?? "")
  }

  /// All notes about shards of a collection.
  func notes(collectionUUID: String) -> [QuarantineNote] {
    let folders = (try? disk.names(inDirectory: layout.quarantine)) ?? []
    return folders.compactMap { folder in
      QuarantineNote.read("\(layout.quarantine)/\(folder)/note.json", disk: disk)
    }.filter { $0.collectionUUID == collectionUUID }
  }

  /// Writes the notes of a shard again and syncs them: an attempt that failed may have left them in memory alone.
  func confirm(shard: Int, collectionUUID: String) throws(DiskError) {
    for folder in try disk.names(inDirectory: layout.quarantine) {
      let path = "\(layout.quarantine)/\(folder)"
      guard let note = QuarantineNote.read(path + "/note.json", disk: disk),
        note.shard == shard, note.collectionUUID == collectionUUID
      else { continue }
      let file = try disk.openFile(path + "/note.json", for: .readWrite)
      try file.write(try file.read(offset: 0, byteCount: try file.byteCount()), at: 0)
      try file.sync()
      try disk.syncDirectory(path)
    }
    try disk.syncDirectory(layout.quarantine)
    try disk.syncDirectory(layout.root)
  }

  /// Takes the rows out of service that notes name, unless they are right by now: somebody has put them back.
  func apply(to collection: Collection) {
    let notes = notes(collectionUUID: collection.uuid)
    guard !notes.isEmpty else { return }
    for shard in collection.shards {
      let id = shard.firstRecordCRC32C?.hexadecimal
      let damage = notes.filter { note in
        note.shard == shard.identity.number && note.firstRecordCRC32C == id
      }.flatMap { $0.damage.compactMap(\.damage) }
      let rowCount = shard.rowCount
      shard.quarantine(
        damage.filter { one in
          !one.rows.isEmpty && one.rows.upperBound <= rowCount && !shard.areRight(one.rows)
        })
    }
  }
}

extension Disk {
  /// Copies a file to a name that is not there yet, and syncs it. Pages that cannot be read stay zero.
  ///
  /// - Returns: the bytes that could not be read.
  func copyFile(_ path: String, to newPath: String) throws(DiskError) -> [Range<Int>] {
    let source = try openFile(path, for: .read)
    let target = try createFile(newPath)
    let byteCount = try source.byteCount()
    var unreadable: [Range<Int>] = []
    var offset = 0
    var pieceByteCount = 1 << 20
    while offset < byteCount {
      let end = min(offset + pieceByteCount, byteCount)
      let piece: [UInt8]
      do throws(DiskError) {
        piece = try source.read(offset: offset, byteCount: end - offset)
      } catch {
        // Page by page from here on, so that one bad page costs one page.
        if pieceByteCount > 4096 {
          pieceByteCount = 4096
        } else {
          unreadable.append(offset..<end)
          offset = end
        }
        continue
      }
      guard !piece.isEmpty else { break }
      try target.write(piece, at: offset)
      offset += piece.count
    }
    if try target.byteCount() < byteCount { try target.truncate(toByteCount: byteCount) }
    try target.sync()
    return unreadable
  }
}
