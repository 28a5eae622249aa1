// A consistent copy of a catalog that may be in use. Used by IngestService/Backup; read by CatalogSnapshot.swift.

internal import Foundation
internal import GRDB

/// Copies a catalog as it was at one moment, through a connection that only reads.
package enum CatalogCopy {
  /// Pages of one step; between two steps the caller is asked whether to go on.
  private static let pagesPerStep: CInt = 1024

  /// - Parameters:
  ///   - target: A new file, or one that is written over.
  ///   - proceed: Called now and then; what it throws ends the copy.
  /// - Throws: when there is no catalog at `path` or it cannot be read.
  package static func write(
    of path: String, to target: String, proceed: @escaping () throws -> Void = {}
  ) throws {
    for suffix in ["", "-wal", "-shm", "-journal"] {
      try? FileManager.default.removeItem(atPath: target + suffix)
    }
    let isAtRest = !hasLog(path)
    let before = isAtRest ? state(of: path) : nil
    try copy(path, isAtRest: isAtRest, to: target, proceed: proceed)
    // A server that was started meanwhile wrote to what was read as if nobody could.
    if isAtRest, hasLog(path) || state(of: path) != before {
      try copy(path, isAtRest: false, to: target, proceed: proceed)
    }
  }

  private static func copy(
    _ path: String, isAtRest: Bool, to target: String, proceed: @escaping () throws -> Void
  ) throws {
    var reading = Configuration()
    reading.readonly = true
    // A catalog at rest has no write-ahead log, and reading it otherwise would make one.
    let name = isAtRest ? CatalogSnapshot.immutableName(of: path) : path
    let source = try DatabaseQueue(path: name, configuration: reading)
    defer { try? source.close() }
    var writing = Configuration()
    writing.prepareDatabase { database in
      // Synced as a whole by the caller.
      try database.execute(sql: "PRAGMA synchronous = OFF")
    }
    let copy = try DatabaseQueue(path: target, configuration: writing)
    // One transaction: all steps see the same moment, and a writer makes none of them begin again.
    try source.read { from in
      _ = try Int.fetchOne(from, sql: "PRAGMA schema_version")
      _ = try Int.fetchOne(from, sql: "SELECT count(*) FROM sqlite_master")
      try copy.writeWithoutTransaction { to in
        try from.backup(to: to, pagesPerStep: pagesPerStep) { _ in try proceed() }
      }
    }
    try copy.close()
  }

  private static func hasLog(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: path + "-wal")
  }

  private struct FileState: Equatable {
    let byteCount: Int?
    let changed: Date?
  }

  private static func state(of path: String) -> FileState {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    return FileState(
      byteCount: attributes?[.size] as? Int, changed: attributes?[.modificationDate] as? Date)
  }
}
