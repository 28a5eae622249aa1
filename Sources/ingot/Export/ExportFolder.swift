// A folder of many files that gets its name only once all of them are complete. Filled by StoreExport+Folder.swift.

import ArgumentParser
import Foundation
import SystemIO

/// `NAME.part`, then `NAME`. Removed when it goes away without its name.
final class ExportFolder {
  let path: String
  private let replaces: Bool
  private let interruption: Interruption
  /// Nobody else writes it.
  private let lock: StoreLock
  private let disk = RealDisk()
  private var isNamed = false

  static let embeddings = "img_emb"
  static let metadata = "metadata"

  var partialPath: String { path + ".part" }

  init(_ path: String, replaces: Bool, _ interruption: Interruption) throws(Failure) {
    self.path = path
    self.replaces = replaces
    self.interruption = interruption
    let partial = path + ".part"
    do throws(DiskError) {
      try Self.check(path, replaces: replaces)
      if try disk.kind(of: partial) == nil { try disk.makeDirectory(partial) }
      lock = try StoreLock(directory: partial)
    } catch {
      throw Failure(writing: path, error)
    }
    interruption.begin(partial)
    do throws(DiskError) { try clear() } catch { throw Failure(writing: path, error) }
  }

  deinit {
    if !isNamed {
      try? FileManager.default.removeItem(atPath: partialPath)
      interruption.end(partialPath)
    }
  }

  /// Only what an export made is replaced.
  private static func check(_ path: String, replaces: Bool) throws(DiskError) {
    let disk = RealDisk()
    switch try disk.kind(of: path) {
    case nil: return
    case .directory where replaces: break
    case .directory: throw .alreadyThere("write", path)
    case .file, .other:
      throw DiskError(operation: "replace (a folder is expected)", path: path, code: EINVAL)
    }
    let names = try disk.names(inDirectory: path)
    guard Set(names).isSubset(of: [embeddings, metadata]) else {
      throw DiskError(
        operation: "replace (it holds more than img_emb and metadata)", path: path, code: ENOTEMPTY)
    }
  }

  /// Starts anew.
  func clear() throws(DiskError) {
    for name in try disk.names(inDirectory: partialPath) {
      let inner = partialPath + "/" + name
      do { try FileManager.default.removeItem(atPath: inner) } catch {
        throw DiskError(operation: "remove", path: inner, code: EIO)
      }
    }
    try disk.makeDirectory(partialPath + "/" + Self.embeddings)
    try disk.makeDirectory(partialPath + "/" + Self.metadata)
  }

  func createFile(_ name: String) throws(DiskError) -> any DiskFile {
    try disk.createFile(partialPath + "/" + name)
  }

  /// - Returns: false where links cannot be.
  func link(_ target: String, as name: String) throws(DiskError) -> Bool {
    try disk.link(target, to: partialPath + "/" + name)
  }

  /// Makes all names durable, and gives the folder its own. One that it replaces is removed.
  func takeName() throws(DiskError) {
    try disk.syncDirectory(partialPath + "/" + Self.embeddings)
    try disk.syncDirectory(partialPath + "/" + Self.metadata)
    try disk.syncDirectory(partialPath)
    if replaces, try disk.kind(of: path) != nil {
      try disk.exchange(partialPath, with: path)
      try? FileManager.default.removeItem(atPath: partialPath)
    } else {
      try disk.name(partialPath, path, replaces: false)
    }
    isNamed = true
    interruption.end(partialPath)
    try disk.syncDirectory(PartialFile.directory(of: path))
  }
}
