// An answer of any length into a file, which has its name only once it is complete.

import Foundation
import SystemIO

/// A file that was received.
struct Download: Sendable {
  let byteCount: Int
  let crc32c: UInt32
  /// The server sent the digest of what it sent, and it was right.
  let isVerified: Bool
}

extension ServerClient {
  /// Receives an answer into a new file beside `path`, checks it, syncs it, and gives it that name.
  ///
  /// After an error nothing is there under either name that was not there before.
  func download(
    _ request: ClientRequest, to path: String, progress: (_ byteCount: Int) -> Void = { _ in }
  ) throws(ClientError) -> Download {
    let disk = RealDisk()
    let partial = path + ".part"
    do throws(ClientError) {
      let received = try receive(request, into: partial, disk: disk, progress: progress)
      do throws(DiskError) { try disk.rename(partial, to: path) } catch { throw .disk(error) }
      return received
    } catch {
      try? disk.removeFile(partial)
      throw error
    }
  }

  private func receive(
    _ request: ClientRequest, into path: String, disk: RealDisk,
    progress: (_ byteCount: Int) -> Void
  ) throws(ClientError) -> Download {
    let file: any DiskFile
    do throws(DiskError) {
      if try disk.kind(of: path) != nil { try disk.removeFile(path) }
      file = try disk.createFile(path)
    } catch {
      throw .disk(error)
    }
    var byteCount = 0
    var crc32c: UInt32 = 0
    let answer = try send(request) { piece throws(DiskError) in
      try unsafe file.write(piece, at: byteCount)
      crc32c = CRC32C.of(piece, continuing: crc32c)
      byteCount += piece.count
      progress(byteCount)
    }
    let isVerified = try Self.check(answer, crc32c: crc32c)
    do throws(DiskError) { try file.sync() } catch { throw .disk(error) }
    return Download(byteCount: byteCount, crc32c: crc32c, isVerified: isVerified)
  }

  /// Source: RFC 9530; the digest may come before the body or behind it.
  private static func check(_ answer: Answer, crc32c: UInt32) throws(ClientError) -> Bool {
    let fields = answer.trailers + answer.head.fields
    guard let value = fields.first(where: { $0.name == "content-digest" })?.value,
      let start = value.firstRange(of: "crc32c=:")?.upperBound
    else { return false }
    let sent = String(value[start...].prefix { $0 != ":" })
    let found = crc32c.digestText
    guard sent == found else {
      throw .lost("what came is damaged: its CRC32C is \(found) and should be \(sent)")
    }
    return true
  }
}

extension UInt32 {
  /// As Content-Digest has it: the most significant byte first, in base64.
  var digestText: String {
    let bytes = stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: self >> $0) }
    return Data(bytes).base64EncodedString()
  }
}
