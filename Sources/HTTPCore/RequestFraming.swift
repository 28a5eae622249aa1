// The rules on fields that decide where a request ends, who it is for and what follows it.
// Strict where two readers of the same bytes could disagree: that is how requests are smuggled.
// Source: RFC 9112 sections 3.2, 6.1 to 6.3, 9.3; RFC 9110 section 10.1.1.

enum RequestFraming {
  static func checkHost(_ fields: HTTPFields, isRequired: Bool) throws(HTTPError) {
    let hosts = fields.all("Host")
    guard hosts.count <= 1 else { throw .badHost(found: "given \(hosts.count) times") }
    guard let host = hosts.first else {
      if isRequired { throw .badHost(found: "missing") }
      return
    }
    guard host.utf8.allSatisfy(ByteClass.isAuthority) else {
      throw .badHost(found: quoted(host.utf8))
    }
  }

  /// Not even equal duplicates are taken: the list form is only ever seen in attacks.
  static func contentLength(_ fields: HTTPFields) throws(HTTPError) -> Int? {
    let values = fields.all("Content-Length")
    guard values.count <= 1 else {
      throw .badFraming(found: "\(values.count) Content-Length fields", expected: "at most one")
    }
    guard let value = values.first else { return nil }
    guard !value.isEmpty, value.utf8.allSatisfy(ByteClass.isDigit), let length = Int(value) else {
      throw .badFraming(
        found: "Content-Length \(quoted(value.utf8))", expected: "digits, below 2^63")
    }
    return length
  }

  static func isChunked(_ fields: HTTPFields, isHTTP10: Bool) throws(HTTPError) -> Bool {
    let codings = fields.list("Transfer-Encoding")
    guard !codings.isEmpty else { return false }
    guard !isHTTP10 else {
      throw .badFraming(found: "Transfer-Encoding in HTTP/1.0", expected: "Content-Length")
    }
    guard fields.first("Content-Length") == nil else {
      throw .badFraming(
        found: "Content-Length and Transfer-Encoding", expected: "one of the two")
    }
    let chunkedCount = codings.count { HTTPFields.isSameName($0, "chunked") }
    guard chunkedCount <= 1, codings.allSatisfy({ !$0.isEmpty }) else {
      throw .badFraming(
        found: "Transfer-Encoding \(quoted(codings.joined(separator: ", ").utf8))",
        expected: "'chunked' once")
    }
    guard codings.count == 1, chunkedCount == 1 else {
      throw .unknownTransferCoding(found: quoted(codings.joined(separator: ", ").utf8))
    }
    return true
  }

  /// A server must not act on an expectation of HTTP/1.0, which did not have it.
  static func expectsContinue(_ fields: HTTPFields, isHTTP10: Bool) throws(HTTPError) -> Bool {
    let expectations = fields.list("Expect")
    guard !isHTTP10, !expectations.isEmpty else { return false }
    for expectation in expectations where !HTTPFields.isSameName(expectation, "100-continue") {
      throw .unknownExpectation(found: quoted(expectation.utf8))
    }
    return true
  }

  static func wantsKeepAlive(_ fields: HTTPFields, isHTTP10: Bool) -> Bool {
    let options = fields.list("Connection")
    if options.contains(where: { HTTPFields.isSameName($0, "close") }) { return false }
    return !isHTTP10 || options.contains { HTTPFields.isSameName($0, "keep-alive") }
  }
}
