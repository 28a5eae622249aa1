// How a user's database is opened so that nothing appears beside it. The same for catalogs: CatalogSnapshot.swift.

internal import Foundation

/// Size and time of a file, by which a change is noticed.
struct FileState: Equatable {
  let byteCount: Int
  let changedAt: Date

  init(_ path: String) throws(UserDatabaseError) {
    let attributes: [FileAttributeKey: Any]
    do { attributes = try FileManager.default.attributesOfItem(atPath: path) } catch {
      throw .cannotOpen(path, "no such file, or no permission")
    }
    guard attributes[.type] as? FileAttributeType == .typeRegular else {
      throw .cannotOpen(path, "it is not a regular file")
    }
    byteCount = attributes[.size] as? Int ?? 0
    changedAt = attributes[.modificationDate] as? Date ?? .distantPast
  }
}

extension FileState {
  /// What SQLite is told to open.
  struct Access {
    let uri: String
    let isUnlocked: Bool
    let copyDirectory: String?
  }

  /// Chooses how to open a file that is no symbolic link.
  ///
  /// With a rollback journal, reading leaves nothing behind. With a write-ahead log, SQLite makes `-shm` and `-wal`
  /// when they are not there: where nobody has the file open, it is read as immutable, and where a process died
  /// with it open, a copy is read. Source: sqlite.org/wal.html "Read-Only Databases"; sqlite.org/uri.html.
  static func access(to path: String) throws(UserDatabaseError) -> Access {
    _ = try FileState(path)
    guard usesWriteAheadLog(path), (try? FileState(path + "-shm")) == nil else {
      return Access(uri: uri(path), isUnlocked: false, copyDirectory: nil)
    }
    guard let log = try? FileState(path + "-wal"), log.byteCount > 0 else {
      return Access(uri: uri(path) + "?immutable=1", isUnlocked: true, copyDirectory: nil)
    }
    let directory = FileManager.default.temporaryDirectory
      .appendingPathComponent("ingot-database-\(UUID().uuidString)").path
    do {
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: false)
      for suffix in ["", "-wal"] {
        try FileManager.default.copyItem(
          atPath: path + suffix, toPath: directory + "/copy.sqlite" + suffix)
      }
    } catch {
      remove(directory)
      throw .cannotOpen(path, "a copy with its write-ahead log cannot be made: \(error)")
    }
    return Access(
      uri: uri(directory + "/copy.sqlite"), isUnlocked: false, copyDirectory: directory)
  }

  static func remove(_ directory: String?) {
    if let directory { try? FileManager.default.removeItem(atPath: directory) }
  }

  /// Bytes 18 and 19 of the file are 2. Source: sqlite.org/fileformat2.html section 1.3.3.
  private static func usesWriteAheadLog(_ path: String) -> Bool {
    guard let file = FileHandle(forReadingAtPath: path) else { return false }
    defer { try? file.close() }
    let head = (try? file.read(upToCount: 20)).flatMap { $0 } ?? Data()
    return head.count == 20 && head[18] == 2
  }

  private static func uri(_ path: String) -> String {
    let allowed = CharacterSet(charactersIn: "/-_.~").union(.alphanumerics)
    return "file:" + (path.addingPercentEncoding(withAllowedCharacters: allowed) ?? path)
  }
}
