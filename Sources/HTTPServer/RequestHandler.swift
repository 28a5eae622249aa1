// What the server asks of the layer above. Every method is called on an event loop and must not
// block.

package import HTTPCore

package protocol RequestHandler: AnyObject, Sendable {
  /// A head was parsed; no byte of its body was read and no `100 Continue` sent.
  ///
  /// - Returns: Who takes the body, or nil when the handler has answered, or will through the
  ///   responder, without it. The connection ends after an answer to an unread body.
  func begin(_ head: RequestHead, _ responder: Responder) -> (any BodyReceiver)?

  /// The last byte of a response was handed to the kernel, or the connection broke while it was
  /// sent.
  ///
  /// - Parameters:
  ///   - duration: From the parsed head to now.
  ///   - responseByteCount: Bytes handed to the kernel, with the head.
  func didRespond(to head: RequestHead, status: Int, duration: Duration, responseByteCount: Int)

  /// The response for a fault that the server found itself.
  func refusal(_ error: HTTPError) -> Response
}

/// Takes the body of one request, on the event loop of its connection. When the client dies or is
/// refused in the middle, the server drops its reference and calls nothing more.
package protocol BodyReceiver: AnyObject {
  /// Has enough for now: nothing is read, and ``finish(_:)`` not called, before
  /// ``Responder/resumeBody()``. That must be called after every time that this was true.
  var isFull: Bool { get }

  /// Lends space for the next body bytes; the kernel writes straight into it.
  ///
  /// - Parameter byteCount: Bytes that may follow; the space may be shorter but not empty.
  /// - Returns: Memory that stays valid until ``didReceive(byteCount:)`` or the end of the
  ///   receiver.
  /// - Throws: The response to send instead of reading on.
  func space(forAtMost byteCount: Int) throws(Refusal) -> UnsafeMutableRawBufferPointer

  /// The first `byteCount` bytes of the space lent last are now body bytes.
  func didReceive(byteCount: Int) throws(Refusal)

  /// The whole body is here; called once, at once when there is no body.
  func finish(_ responder: Responder)
}

extension BodyReceiver {
  package var isFull: Bool { false }
}

/// A response that ends the reading of a body.
package struct Refusal: Error, Sendable {
  package let response: Response

  package init(_ response: Response) { self.response = response }
}
