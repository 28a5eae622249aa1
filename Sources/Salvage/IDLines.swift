// Ids from a text file, one on each line. Their bytes are checked where they go: IDSpool.swift.

internal import ShardStore
package import SystemIO

/// Reads lines in constant memory. A line ends with LF or CR LF; the last one may end with the file.
/// A byte order mark before the first is left out.
package struct IDLines {
  private let file: SequentialInput
  private var buffer: [UInt8] = []
  private var position = 0
  private var isAtStart = true
  private var isAtEnd = false

  private static let pieceByteCount = 256 << 10
  /// What a longer line is cut to: too long for an id, and bounded.
  package static let lineByteCountMax = 64 << 10

  /// - Parameter path: Of a file, or of a pipe.
  package init(_ path: String) throws(DiskError) { file = try SequentialInput(path) }

  /// The next line without its end; nil behind the last.
  package mutating func next() throws(DiskError) -> ArraySlice<UInt8>? {
    var searched = position
    while true {
      if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        defer { position = end + 1 }
        return Self.withoutReturn(buffer[position..<end])
      }
      // Too long for an id, which whoever asked finds out from what there is.
      if buffer.count - position >= Self.lineByteCountMax || isAtEnd { return last() }
      searched = buffer.count - position
      try fill()
    }
  }

  private mutating func last() -> ArraySlice<UInt8>? {
    guard position < buffer.count else { return nil }
    defer { position = buffer.count }
    return Self.withoutReturn(buffer[position...])
  }

  private static func withoutReturn(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    line.last == UInt8(ascii: "\r") ? line.dropLast() : line
  }

  private mutating func fill() throws(DiskError) {
    let piece = try file.read(byteCount: Self.pieceByteCount)
    buffer = Array(buffer[position...]) + piece
    let isMarked = isAtStart && buffer.starts(with: IDList.byteOrderMark)
    position = isMarked ? IDList.byteOrderMark.count : 0
    isAtStart = false
    isAtEnd = piece.count < Self.pieceByteCount
  }
}
