// Bytes of a source, read once from front to back: a file, or a member of an archive. Directory of an archive:
// IngestAPI/Bodies/ArchiveFile.swift.

import Foundation
import IngestAPI
import SystemIO

/// Bytes that are read once.
protocol ByteStream: AnyObject {
  /// How many there are, read or not.
  var byteCount: Int { get }
  /// Fills `buffer`; with fewer bytes only at the end.
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(Failure) -> Int
}

enum SourceFile {
  /// Opens a file for reading; symbolic links are followed.
  static func open(_ path: String) throws(Failure) -> any DiskFile {
    var status = stat()
    // By its path a pipe of <(…) cannot be resolved.
    if unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFIFO {
      throw Failure(
        "\(path) is a pipe, and sources and their ids are read more than once: write it to a file first",
        code: .inputUnusable)
    }
    // RealDisk refuses links, which stand for damage in a store and are usual among sources.
    guard let resolved = unsafe realpath(path, nil) else {
      throw Failure("\(DiskError.last("open", path))", code: .couldNotRun)
    }
    defer { unsafe free(resolved) }
    do throws(DiskError) {
      return try RealDisk().openFile(unsafe String(cString: resolved), for: .read)
    } catch {
      throw Failure("\(error)", code: .couldNotRun)
    }
  }
}

extension DiskFile {
  func sourceByteCount() throws(Failure) -> Int {
    do throws(DiskError) { return try byteCount() } catch {
      throw Failure("\(error)", code: .couldNotRun)
    }
  }

  @safe
  func readSource(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(Failure) -> Int {
    do throws(DiskError) { return try unsafe read(into: buffer, at: offset) } catch {
      throw Failure("\(error)", code: .couldNotRun)
    }
  }
}

/// A whole file.
final class FileStream: ByteStream {
  let byteCount: Int
  private let file: any DiskFile
  private var offset = 0

  init(_ file: any DiskFile) throws(Failure) {
    self.file = file
    byteCount = try file.sourceByteCount()
  }

  @safe
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
    let count = try file.readSource(into: buffer, at: offset)
    offset += count
    return count
  }
}

/// A member of an archive; at its end, its checksum must be right.
final class MemberStream: ByteStream {
  private let file: any DiskFile
  private let member: ArchiveFile.Member
  /// What messages call it.
  private let shownName: String
  private let inflate: InflateStream?
  private let input = HeapBodyMemory(byteCount: inputByteCount)
  /// What was read of the file and not inflated yet.
  private var unread = 0..<0
  private var storedOffset = 0
  private var doneByteCount = 0
  private var crc32: UInt32 = 0

  private static let inputByteCount = 256 << 10

  var byteCount: Int { member.byteCount }

  init(_ file: any DiskFile, _ member: ArchiveFile.Member, path: String) throws(Failure) {
    self.file = file
    self.member = member
    shownName = path
    do throws(BodyError) {
      inflate = member.isDeflated ? try InflateStream(name: member.name) : nil
    } catch {
      throw Failure("\(path): \(error.fileDetail)", code: .couldNotRun)
    }
  }

  @safe
  func read(into buffer: UnsafeMutableRawBufferPointer) throws(Failure) -> Int {
    let wanted = min(buffer.count, byteCount - doneByteCount)
    let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted])
    if inflate == nil {
      guard try file.readSource(into: part, at: member.offset + doneByteCount) == wanted else {
        throw refused(.truncatedMember(member: member.name, expected: byteCount, found: 0))
      }
    } else {
      try inflateAll(of: part)
    }
    crc32 = ZipCRC32.of(UnsafeRawBufferPointer(part), continuing: crc32)
    doneByteCount += wanted
    if doneByteCount == byteCount { try checkEnd() }
    return wanted
  }

  @safe
  private func inflateAll(of output: UnsafeMutableRawBufferPointer) throws(Failure) {
    guard let inflate else { return }
    var produced = 0
    while produced < output.count {
      if unread.isEmpty { try refill() }
      let (wasUnread, before) = (unread, produced)
      do throws(BodyError) {
        var consumed = 0
        let rest = unsafe UnsafeRawBufferPointer(rebasing: input.bytes[unread])
        try inflate.inflate(rest, &consumed, into: output, &produced)
        unread = (unread.lowerBound + consumed)..<unread.upperBound
      } catch {
        throw refused(error)
      }
      guard produced > before || unread != wasUnread else {
        throw refused(
          .truncatedMember(
            member: member.name, expected: byteCount, found: doneByteCount + produced))
      }
    }
  }

  private func refill() throws(Failure) {
    let wanted = min(Self.inputByteCount, member.storedByteCount - storedOffset)
    let space = unsafe UnsafeMutableRawBufferPointer(rebasing: input.mutableBytes[..<wanted])
    let count = try file.readSource(into: space, at: member.offset + storedOffset)
    storedOffset += count
    unread = 0..<count
  }

  private func checkEnd() throws(Failure) {
    guard crc32 == member.crc32 else {
      throw refused(
        .memberChecksum(member: member.name, expected: member.crc32, found: crc32))
    }
  }

  private func refused(_ error: BodyError) -> Failure {
    Failure("\(shownName): \(error.fileDetail)", code: .inputUnusable)
  }
}

/// A file in memory, for what is looked at here and there.
@safe
final class MappedFile: BodyMemory, @unchecked Sendable {
  private let mapping: any DiskMapping
  /// Valid as long as the mapping is.
  let bytes: UnsafeRawBufferPointer

  init(_ file: any DiskFile) throws(Failure) {
    do throws(DiskError) { mapping = try file.map(byteCount: try file.byteCount()) } catch {
      throw Failure("\(error)", code: .couldNotRun)
    }
    unsafe bytes = mapping.withBytes(0..<mapping.byteCount) { unsafe $0 }
  }
}
