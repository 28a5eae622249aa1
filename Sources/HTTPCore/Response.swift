// What a handler answers. How it goes on the wire: ResponseEncoder.swift.

/// Status, fields and body. Content-Length, Transfer-Encoding, Date and Connection are the
/// encoder's: given here they are ignored, except `Connection: close`, which is honoured.
package struct Response: Sendable {
  package var status: Int
  package var fields: HTTPFields
  package var body: ResponseBody

  package init(status: Int, fields: HTTPFields = HTTPFields(), body: ResponseBody = .none) {
    self.status = status
    self.fields = fields
    self.body = body
  }

  /// True when the handler asks that the connection ends with this response.
  package var asksToClose: Bool {
    fields.list("Connection").contains { HTTPFields.isSameName($0, "close") }
  }
}

package enum ResponseBody: Sendable {
  case none
  case bytes([UInt8])
  case producer(any BodyProducer)
}

/// A body that is made while it is sent; asked only when the socket took the piece before.
package protocol BodyProducer: AnyObject, Sendable {
  /// Bytes of the whole body; nil when not known before its end, which means chunks on the wire.
  var byteCount: Int? { get }

  /// Fields that follow a body in chunks, asked when its end is reached.
  var trailers: [(name: String, value: String)] { get }

  /// Appends the next piece, about 64 KiB, to `output`. A producer that appends nothing is asked
  /// again in the next turn of its loop, so waiting for something this way keeps the loop busy.
  ///
  /// - Returns: false when nothing is left behind what was appended.
  /// - Throws: Anything; the connection is then aborted, so that a cut answer is visible.
  func next(into output: inout [UInt8]) throws -> Bool
}

extension BodyProducer {
  package var trailers: [(name: String, value: String)] { [] }
}
