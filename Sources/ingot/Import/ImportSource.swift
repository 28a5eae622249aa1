// One source of an import: where its rows and ids are, and reading them. Found by SourceFinder.swift.

import IngestAPI
import ShardStore
import SystemIO

/// Where the ids of a source are.
enum IDPlace: Equatable, Sendable {
  case text(path: String)
  case array(path: String)
  /// In the same archive.
  case member
  /// The integers from here on.
  case integers(first: UInt64)
}

/// A source, not opened.
struct ImportSource: Equatable, Sendable {
  let path: String
  var ids: IDPlace
  /// Known once it was opened.
  var rowCount = 0
  var dimension = 0
  var descr = ""

  var isArchive: Bool { ids == .member }
}

/// A source that is being read, from its first row on.
final class OpenSource {
  let rowCount: Int
  let dimension: Int
  private let path: String
  private let embeddings: ArrayReader
  private var ids: IDs

  private enum IDs {
    case lines(LineReader)
    case array(ArrayReader)
    case integers(next: UInt64)
  }

  var descr: String { embeddings.form.descr }
  var form: ArrayForm { embeddings.form }

  /// Opens a source and checks what its headers say. Lines are not counted yet.
  init(_ source: ImportSource) throws(Failure) {
    path = source.path
    let file = try SourceFile.open(source.path)
    if source.isArchive {
      let members = try Self.members(of: file, path: path)
      embeddings = try Self.reader("embeddings", file, members.embeddings, path: path)
      ids = .array(try Self.reader("ids", file, members.ids, path: path))
    } else {
      embeddings = try ArrayReader("embeddings", try FileStream(file), shownName: path)
      switch source.ids {
      case .text(let idsPath): ids = .lines(try LineReader(path: idsPath))
      case .array(let idsPath):
        let stream = try FileStream(try SourceFile.open(idsPath))
        ids = .array(try ArrayReader("ids", stream, shownName: idsPath))
      case .integers(let first): ids = .integers(next: first)
      case .member: ids = .integers(next: 0)
      }
    }
    do throws(BodyError) {
      (rowCount, dimension) = try embeddings.form.rows()
      if case .array(let array) = ids { try array.form.checkIDs(rowCount: rowCount) }
    } catch {
      throw Failure("\(path): \(error.fileDetail)", code: .inputUnusable)
    }
  }

  private static func members(
    of file: any DiskFile, path: String
  ) throws(Failure) -> (ids: ArchiveFile.Member, embeddings: ArchiveFile.Member) {
    let mapped = try MappedFile(file)
    do throws(BodyError) {
      let archive = try ArchiveFile(mapped)
      return (try archive.member("ids.npy"), try archive.member("embeddings.npy"))
    } catch {
      throw Failure("\(path): \(error.fileDetail)", code: .inputUnusable)
    }
  }

  private static func reader(
    _ name: String, _ file: any DiskFile, _ member: ArchiveFile.Member, path: String
  ) throws(Failure) -> ArrayReader {
    try ArrayReader(
      name, try MemberStream(file, member, path: path), shownName: "\(path), member \(name)")
  }

  /// The next rows, as they are in the source.
  func readRows(_ count: Int) throws(Failure) -> HeapBodyMemory {
    try embeddings.read(elementCount: count * dimension)
  }

  /// The ids of the next rows.
  func readIDs(_ count: Int) throws(Failure) -> PieceIDs {
    switch ids {
    case .lines(let lines): return .lines(try lines.read(lineCount: count))
    case .array(let array): return .array(array.form, try array.read(elementCount: count))
    case .integers(let next):
      ids = .integers(next: next + UInt64(count))
      return .from(next)
    }
  }

  /// Reads to the end of all arrays, so that their checksums are looked at.
  func readToEnd(_ progress: (_ byteCount: Int) -> Void = { _ in }) throws(Failure) {
    try embeddings.readToEnd(progress)
    if case .array(let array) = ids { try array.readToEnd() }
  }
}
