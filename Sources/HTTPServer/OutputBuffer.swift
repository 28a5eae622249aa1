// The bytes that wait for the socket: one head and one piece of a body, never more.

/// A short queue of byte arrays, so that a large body is sent without being copied behind its head.
struct OutputBuffer {
  private var pieces: [[UInt8]] = []
  private var offset = 0

  var isEmpty: Bool { pieces.isEmpty }

  /// - Parameter offset: Bytes at the front of the piece that are not to be sent.
  mutating func append(_ piece: [UInt8], skipping offset: Int = 0) {
    guard piece.count > offset else { return }
    if pieces.isEmpty { self.offset = offset } else { precondition(offset == 0) }
    pieces.append(piece)
  }

  /// Sends once.
  mutating func send(to number: Int32, hasMore: Bool) -> Transfer {
    let isLast = pieces.count == 1
    let offset = offset
    let transfer = unsafe pieces[0].withUnsafeBytes { bytes in
      unsafe Socket.send(
        number, UnsafeRawBufferPointer(rebasing: bytes[offset...]), hasMore: hasMore || !isLast)
    }
    if case .moved(let count) = transfer {
      self.offset += count
      if self.offset == pieces[0].count {
        pieces.removeFirst()
        self.offset = 0
      }
    }
    return transfer
  }

  mutating func removeAll() { (pieces, offset) = ([], 0) }
}
