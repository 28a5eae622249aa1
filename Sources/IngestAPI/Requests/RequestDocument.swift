// Small JSON bodies: a member that nobody knows is refused, since it may be one that was misspelled. Used by
// Endpoints/Collections.swift, Compaction.swift and Scrubs.swift. Ids: IDStreams/. Batches: Bodies/.

internal import Foundation

/// What a small JSON body may say.
protocol RequestDocument: Decodable {
  associatedtype Member: CodingKey & CaseIterable

  /// The code of the problem when it says something else.
  static var code: String { get }
  /// What was expected, with an example.
  static var form: String { get }
}

extension RequestDocument {
  /// - Throws: 400 for what is no JSON object; 422 with ``code`` for unknown members and for values of another kind.
  init(_ body: PooledBody) throws(RequestRefused) {
    do {
      let data = unsafe Data(body.bytes)
      self = try JSONDecoder().decode(KnownMembers<Self>.self, from: data).document
    } catch {
      throw RequestRefused(Self.problem(error))
    }
  }

  private static func problem(_ error: any Error) -> Problem {
    switch error {
    case let error as UnknownMember:
      let known = Member.allCases.map(\.stringValue).joined(separator: ", ")
      return Problem(
        status: 422, code: code,
        detail: "there is no member '\(error.name.prefix(40))', there are \(known); \(form)")
    case DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty,
      DecodingError.typeMismatch(_, let context) where context.codingPath.isEmpty,
      DecodingError.valueNotFound(_, let context) where context.codingPath.isEmpty:
      return Problem(
        status: 400, code: "bad-json", detail: "the body is no JSON object; \(form)")
    default:
      return Problem(
        status: 422, code: code, detail: "a member is missing or of another kind; \(form)")
    }
  }
}

private struct UnknownMember: Error {
  let name: String
}

/// A document that has no other members than it knows.
private struct KnownMembers<Document: RequestDocument>: Decodable {
  let document: Document

  private struct AnyMember: CodingKey {
    let stringValue: String
    let intValue: Int? = nil

    init(stringValue: String) { self.stringValue = stringValue }

    init?(intValue: Int) { nil }
  }

  init(from decoder: any Decoder) throws {
    let found = try decoder.container(keyedBy: AnyMember.self).allKeys.map(\.stringValue)
    let known = Document.Member.allCases.map(\.stringValue)
    if let name = found.sorted().first(where: { !known.contains($0) }) {
      throw UnknownMember(name: name)
    }
    document = try Document(from: decoder)
  }
}
