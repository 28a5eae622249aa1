// Error answers: problem documents of RFC 9457 with a stable code. What becomes which: Problem+Mapping.swift.

package import HTTPCore

/// One error as a client sees it.
package struct Problem: Sendable {
  package var status: Int
  /// Stable: clients may depend on it.
  package var code: String
  /// What was found, what was expected, what to do.
  package var detail: String
  /// Whether the same request may succeed later.
  package var isRetryable = false
  /// Members that belong to the code, such as a limit.
  var members: [(name: String, value: JSON)] = []
  /// Header fields that belong to the status, such as `Allow`.
  var fields: [(name: String, value: String)] = []

  package var response: Response {
    var document: [(name: String, value: JSON)] = [
      ("type", .string("about:blank")),
      ("title", .string(ReasonPhrase.of(status))),
      ("status", .integer(status)),
      ("detail", .string(detail)),
      ("code", .string(code)),
      ("retryable", .bool(isRetryable)),
    ]
    document += members
    var fields = HTTPFields(self.fields)
    fields.set("Content-Type", "application/problem+json")
    return Response(
      status: status, fields: fields,
      body: .bytes(JSON.object(document).bytes + [UInt8(ascii: "\n")]))
  }
}

extension Response {
  static func json(
    _ value: JSON, status: Int = 200, type: String = "application/json",
    fields: [(name: String, value: String)] = []
  ) -> Response {
    var all = HTTPFields(fields)
    all.set("Content-Type", type)
    return Response(status: status, fields: all, body: .bytes(value.bytes + [UInt8(ascii: "\n")]))
  }
}
