// Puts a request on a connection: at once, or by a thread while the answer is read. Used by ServerClient.swift.

internal import IngestAPI
internal import SystemIO

/// A request that was sent or is being sent.
final class RequestSender {
  private let socket: ClientSocket
  private var thread: NamedThread?
  private let isComplete: Monitor<Bool?>

  private static let lastChunk = Array("0\r\n\r\n".utf8)

  /// Sends a request. That a server no longer takes it is no error here: it may have answered before.
  init(
    _ request: ClientRequest, to socket: ClientSocket, authority: String
  ) throws(ClientError) {
    self.socket = socket
    isComplete = Monitor(nil)
    let head = request.head(authority: authority)
    switch request.body {
    case .none:
      thread = nil
      let isSent = socket.send(head, byteCount: head.count, hasMore: false)
      isComplete.change { $0 = isSent }
    case .pieces(let pieces):
      thread = nil
      var isSent = socket.send(head, byteCount: head.count, hasMore: true)
      for (index, piece) in pieces.enumerated() where isSent {
        isSent = unsafe socket.send(piece.bytes, hasMore: index < pieces.count - 1)
      }
      isComplete.change { $0 = isSent }
    case .stream(let open):
      let next = try open()
      thread = NamedThread("ingot-send") { [isComplete] in
        var isSent = socket.send(head, byteCount: head.count, hasMore: true)
        while isSent, let piece = next() { isSent = Self.send(chunk: piece, to: socket) }
        isSent =
          isSent && socket.send(Self.lastChunk, byteCount: Self.lastChunk.count, hasMore: false)
        isComplete.change { $0 = isSent }
      }
    }
  }

  private static func send(chunk: [UInt8], to socket: ClientSocket) -> Bool {
    let frame = Array((String(chunk.count, radix: 16) + "\r\n").utf8)
    return socket.send(frame, byteCount: frame.count, hasMore: true)
      && socket.send(chunk, byteCount: chunk.count, hasMore: true)
      && socket.send([0x0D, 0x0A], byteCount: 2, hasMore: false)
  }

  /// Ends the sending: what is not sent yet has no reader any more.
  ///
  /// - Returns: Whether all was sent.
  @discardableResult
  func end() -> Bool {
    if isComplete.withLock({ $0 == nil }) { socket.shutDown() }
    thread?.join()
    thread = nil
    return isComplete.withLock { $0 ?? false }
  }
}
