// Ids from a text file, one per line, read piece by piece, without the byte order mark that some editors put in front.

import IngestAPI
import ShardStore
import SystemIO

final class LineReader {
  private let file: any DiskFile
  private let path: String
  private let buffer = HeapBodyMemory(byteCount: bufferByteCount)
  private var unread = 0..<0
  private var offset = 0

  private static let bufferByteCount = 256 << 10
  private static let lineFeed = UInt8(ascii: "\n")

  init(path: String) throws(Failure) {
    file = try SourceFile.open(path)
    self.path = path
  }

  /// How many lines follow; the last may end or not.
  func countLines() throws(Failure) -> Int {
    var count = 0
    var last: UInt8?
    while try refill() {
      let bytes = unsafe buffer.bytes[unread]
      count += unsafe bytes.reduce(0) { $1 == Self.lineFeed ? $0 + 1 : $0 }
      last = unsafe bytes.last
      unread = 0..<0
    }
    return last == nil || last == Self.lineFeed ? count : count + 1
  }

  /// The bytes of the next lines, with their ends.
  func read(lineCount: Int) throws(Failure) -> HeapBodyMemory {
    var lines: [UInt8] = []
    var missing = lineCount
    // Longer lines hold no ids, or the file holds no lines.
    let byteCountMax = (lineCount + 1) * (IDList.idByteCountMax + 2)
    while missing > 0 {
      if unread.isEmpty, try !refill() { break }
      let end = unsafe Self.end(ofLines: &missing, in: buffer.bytes, unread)
      unsafe lines.append(contentsOf: buffer.bytes[unread.lowerBound..<end])
      unread = end..<unread.upperBound
      guard lines.count <= byteCountMax else {
        throw Failure(
          "\(path): a line is longer than an id, which has at most \(IDList.idByteCountMax) bytes; "
            + "expected one id per line", code: .inputUnusable)
      }
    }
    return HeapBodyMemory(lines)
  }

  /// Where the last of the wanted lines ends, or the part does.
  @safe
  private static func end(
    ofLines missing: inout Int, in bytes: UnsafeRawBufferPointer, _ part: Range<Int>
  ) -> Int {
    var position = part.lowerBound
    while position < part.upperBound, missing > 0 {
      if unsafe bytes[position] == lineFeed { missing -= 1 }
      position += 1
    }
    return position
  }

  /// - Returns: False at the end of the file.
  private func refill() throws(Failure) -> Bool {
    let count = try unsafe file.readSource(into: buffer.mutableBytes, at: offset)
    let isMarked = unsafe offset == 0 && buffer.bytes[..<count].starts(with: IDList.byteOrderMark)
    offset += count
    unread = (isMarked ? IDList.byteOrderMark.count : 0)..<count
    return count > 0
  }
}
