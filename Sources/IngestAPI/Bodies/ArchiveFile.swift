// Zip archives in files: where their members are, and their bytes piece by piece. Used by `ingot import`; archives in
// bodies: ZipArchive+Contents.swift.

/// The directory of an `.npz` file.
package struct ArchiveFile {
  /// Where a member is and what its bytes must be.
  package struct Member: Sendable, Equatable {
    package let name: String
    /// Of the bytes in the archive, from its start.
    package let offset: Int
    package let storedByteCount: Int
    /// Once inflated.
    package let byteCount: Int
    package let isDeflated: Bool
    package let crc32: UInt32
  }

  private let archive: ZipArchive

  /// - Parameter file: The whole file, of which only directory and headers are read.
  package init(_ file: any BodyMemory) throws(BodyError) {
    archive = try ZipArchive(BodyBytes(file), memberCountMax: BodyLimits().memberCountMax)
  }

  package func member(_ name: String) throws(BodyError) -> Member {
    guard let member = archive.members.first(where: { $0.name == Array(name.utf8) }) else {
      throw .missingMember(name: name, found: archive.members.prefix(8).map(\.shownName))
    }
    return Member(
      name: name, offset: member.dataOffset, storedByteCount: member.storedByteCount,
      byteCount: member.byteCount, isDeflated: member.isDeflated, crc32: member.crc32)
  }
}

/// Inflates what comes in pieces.
package final class InflateStream {
  private let inflater: Inflater
  private let name: String
  package private(set) var hasEnded = false

  package init(name: String) throws(BodyError) {
    inflater = try Inflater(name: name)
    self.name = name
  }

  /// Goes on until the output is full, the input is used up, or the stream has ended.
  ///
  /// - Parameters:
  ///   - consumed: How much of `input` was used; moved forward.
  ///   - produced: How much of `output` was filled; moved forward. Without room in `output`, a stream that goes on
  ///     is an error.
  @safe
  package func inflate(
    _ input: UnsafeRawBufferPointer, _ consumed: inout Int,
    into output: UnsafeMutableRawBufferPointer, _ produced: inout Int
  ) throws(BodyError) {
    while !hasEnded {
      let before = consumed + produced
      hasEnded = try inflater.step(input, &consumed, output, &produced)
      guard produced <= output.count else {
        throw .brokenZip(reason: "\(name) inflates to more bytes than the directory says")
      }
      let isDone = produced > 0 && produced == output.count
      if isDone || consumed + produced == before { return }
    }
  }
}
