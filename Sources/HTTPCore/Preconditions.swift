// Whether a representation is sent, by what the client has of it. Source: RFC 9110 section 13.

/// The conditions of a GET or HEAD held against a representation with a strong entity tag.
package enum Preconditions: Equatable, Sendable {
  case proceed
  /// 304: the client has it.
  case notModified
  /// 412: it is not the one that the client means.
  case failed

  /// - Parameter entityTag: with its quotes.
  package init(_ fields: HTTPFields, entityTag: String) {
    let wanted = fields.list("If-Match")
    let known = fields.list("If-None-Match")
    if !wanted.isEmpty, !wanted.contains("*"), !wanted.contains(entityTag) {
      self = .failed
    } else if known.contains("*") || known.contains(where: { Self.isSameWeakly($0, entityTag) }) {
      self = .notModified
    } else {
      self = .proceed
    }
  }

  /// For what a client has already, weak tags count as well. Source: RFC 9110 section 8.8.3.2.
  private static func isSameWeakly(_ found: String, _ entityTag: String) -> Bool {
    found == entityTag || found == "W/" + entityTag
  }

  /// Whether a range may be answered as such: the client's part is of this representation.
  ///
  /// There is no Last-Modified, so a date never is. Source: RFC 9110 section 13.1.5.
  package static func allowsRange(_ fields: HTTPFields, entityTag: String) -> Bool {
    let values = fields.all("If-Range")
    return values.isEmpty || values == [entityTag]
  }
}
