// From the paths of a command line to sources: files as they are named, folders by what is in them. Nothing is opened
// but the first bytes of a file.

import Foundation
import SystemIO

struct SourceFinder {
  /// Files with ids, one per source, in their order; empty when each source brings its own.
  let idFiles: [String]
  /// The id of the first row of all sources; the others count on.
  let firstID: UInt64?

  static let idsForms =
    "--ids FILE, --first-id N, or a file NAME.ids.txt or NAME.ids.npy beside NAME.npy"

  /// All sources in the order of the command line; those of a folder by name.
  func find(_ paths: [String]) throws(Failure) -> [ImportSource] {
    var found: [ImportSource] = []
    for path in paths { found += try isFolder(path) ? folder(path) : [file(path)] }
    guard !idFiles.isEmpty else { return found }
    guard idFiles.count == found.count, !found.contains(where: \.isArchive) else {
      throw Failure(
        "--ids is given \(idFiles.count) times and there are \(found.count) sources: expected one "
          + "for each, and none for archives, which hold their ids", code: .inputUnusable)
    }
    for index in found.indices { found[index].ids = Self.place(ofIDs: idFiles[index]) }
    return found
  }

  private func isFolder(_ path: String) -> Bool {
    var isFolder = ObjCBool(false)
    return unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
      && isFolder.boolValue
  }

  private func folder(_ path: String) throws(Failure) -> [ImportSource] {
    let names: [String]
    do throws(DiskError) { names = try RealDisk().names(inDirectory: path) } catch {
      throw Failure("\(error)", code: .couldNotRun)
    }
    let sources = names.filter {
      $0.hasSuffix(".npz") || ($0.hasSuffix(".npy") && !$0.hasSuffix(".ids.npy"))
    }
    guard !sources.isEmpty else {
      throw Failure(
        "\(path): there is no .npy and no .npz in this folder"
          + (names.contains("img_emb")
            ? "; a folder of clip-retrieval is imported by deploy/import-clip-retrieval" : ""),
        code: .inputUnusable)
    }
    let base = path.hasSuffix("/") ? String(path.dropLast()) : path
    var found: [ImportSource] = []
    for name in sources { found.append(try file("\(base)/\(name)")) }
    return found
  }

  private func file(_ path: String) throws(Failure) -> ImportSource {
    let file = try SourceFile.open(path)
    let start: [UInt8]
    do throws(DiskError) { start = try file.read(offset: 0, byteCount: 6) } catch {
      throw Failure("\(error)", code: .couldNotRun)
    }
    if start.starts(with: [0x50, 0x4B]) { return ImportSource(path: path, ids: .member) }
    guard start == [0x93] + Array("NUMPY".utf8) else {
      throw Failure(
        "\(path) is neither .npy nor .npz: it \(start.isEmpty ? "is empty" : "starts with other bytes")",
        code: .inputUnusable)
    }
    return ImportSource(path: path, ids: try ids(beside: path))
  }

  private func ids(beside path: String) throws(Failure) -> IDPlace {
    if !idFiles.isEmpty { return .integers(first: 0) }
    if let firstID { return .integers(first: firstID) }
    let stem = path.hasSuffix(".npy") ? String(path.dropLast(4)) : path
    let beside = [stem + ".ids.txt", stem + ".ids.npy"].filter {
      FileManager.default.fileExists(atPath: $0)
    }
    guard let first = beside.first else {
      throw Failure("\(path) has no ids: give \(Self.idsForms)", code: .inputUnusable)
    }
    guard beside.count == 1 else {
      throw Failure(
        "\(path) has its ids twice, in \(beside[0]) and in \(beside[1]): say which with --ids",
        code: .inputUnusable)
    }
    return Self.place(ofIDs: first)
  }

  private static func place(ofIDs path: String) -> IDPlace {
    path.hasSuffix(".npy") ? .array(path: path) : .text(path: path)
  }
}
