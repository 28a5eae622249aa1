// Whether a catalog's file is whole, before it is used: one that is not is kept aside and made again from the logs.
// A catalog that is not in use is checked in full: CatalogSnapshot.swift.

internal import Foundation
internal import GRDB

extension Catalog {
  /// Whether SQLite could not open a file that is there, for want of a descriptor: readers are opened when they are needed.
  package static func couldNotOpen(_ error: any Error) -> Bool {
    (error as? DatabaseError)?.resultCode == .SQLITE_CANTOPEN
  }

  /// Whether an error says something of the process, the disk or another program, and not of the file.
  package static func isHindered(_ error: any Error) -> Bool {
    guard let error = error as? DatabaseError else { return false }
    switch error.resultCode {
    case .SQLITE_FULL, .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH,
      .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_NOMEM:
      return true
    case .SQLITE_IOERR:
      // Bytes that the disk does not give are lost.
      return ![.SQLITE_IOERR_READ, .SQLITE_IOERR_SHORT_READ].contains(error.extendedResultCode)
    default: return false
    }
  }

  /// - Throws: when the file is shorter or longer than it says. SQLite reads a page that was cut as if the rest
  ///   were zero.
  static func checkByteCount(ofFile path: String) throws {
    // A file with a log may have any size until the log is in it.
    guard byteCount(ofFile: path + "-wal") == 0, let head = head(ofFile: path) else { return }
    // Source: sqlite.org/fileformat2.html, section 1.3. One stands for 65536.
    let pageByteCount = head[16..<18].bigEndianValue
    let expected = (pageByteCount == 1 ? 65_536 : pageByteCount) * head[28..<32].bigEndianValue
    // An older library does not write the page count; then the two numbers differ.
    guard head[24..<28] == head[92..<96] else { return }
    let found = byteCount(ofFile: path)
    guard found == expected else {
      throw CatalogError.damaged("it has \(found) bytes, expected \(expected)")
    }
  }

  private static func byteCount(ofFile path: String) -> Int {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    return attributes?[.size] as? Int ?? 0
  }

  /// The first 100 bytes; nil for a file that is not there or has fewer.
  private static func head(ofFile path: String) -> [UInt8]? {
    guard let file = FileHandle(forReadingAtPath: path),
      let bytes = try? file.read(upToCount: 100), bytes.count == 100
    else { return nil }
    return [UInt8](bytes)
  }
}

extension ArraySlice<UInt8> {
  fileprivate var bigEndianValue: Int { reduce(0) { $0 << 8 | Int($1) } }
}
