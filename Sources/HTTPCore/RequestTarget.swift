// What a request asks for: path, segments and query. Source: RFC 9112 section 3.2.

/// The decoded name-value pairs behind the `?`, in order, duplicates kept.
package struct Query: Sendable {
  package typealias Item = (name: String, value: String)

  package let items: [Item]

  package init(_ items: [Item] = []) { self.items = items }

  package func first(_ name: String) -> String? { items.first { $0.name == name }?.value }
}

/// A checked request target in origin-form, absolute-form, or `*` for OPTIONS.
struct RequestTarget {
  /// As received, still percent-encoded.
  let path: String
  let segments: [String]
  let query: Query

  init(_ target: [UInt8], method: String) throws(HTTPError) {
    if target == [0x2A] {
      guard method == "OPTIONS" else {
        throw .badTarget(found: "'*'", expected: "a path; '*' is for OPTIONS only")
      }
      (path, segments, query) = ("*", [], Query())
      return
    }
    guard !target.contains(0x23) else {
      throw .badTarget(found: quoted(target), expected: "no fragment")
    }
    let rest = try Self.withoutAuthority(target)
    let parts = rest.split(separator: 0x3F, maxSplits: 1, omittingEmptySubsequences: false)
    let rawPath = parts[0].isEmpty ? [ByteClass.slash] : parts[0]
    path = String(decoding: rawPath, as: UTF8.self)
    segments = try Self.segments(of: rawPath)
    query = parts.count == 2 ? try Self.query(of: parts[1]) : Query()
  }

  /// Path and query; what an absolute-form target has before them is checked and left out.
  private static func withoutAuthority(_ target: [UInt8]) throws(HTTPError) -> ArraySlice<UInt8> {
    if target.first == ByteClass.slash { return target[...] }
    for scheme in ["http://", "https://"] {
      let prefix = Array(scheme.utf8)
      guard target.count > prefix.count,
        target.prefix(prefix.count).elementsEqual(prefix, by: { ByteClass.lowercased($0) == $1 })
      else { continue }
      let rest = target[prefix.count...]
      let end = rest.firstIndex { $0 == ByteClass.slash || $0 == 0x3F } ?? rest.endIndex
      let authority = rest[..<end]
      guard !authority.isEmpty, authority.allSatisfy(ByteClass.isAuthority) else {
        throw .badTarget(found: quoted(target), expected: "a host with an optional port")
      }
      return rest[end...]
    }
    throw .badTarget(found: quoted(target), expected: "a path from '/', or an http URL")
  }

  /// Split before decoding, so that an encoded slash stays part of its segment.
  private static func segments(of path: ArraySlice<UInt8>) throws(HTTPError) -> [String] {
    guard path.count > 1 else { return [] }
    var segments: [String] = []
    for part in path.dropFirst().split(separator: ByteClass.slash, omittingEmptySubsequences: false)
    {
      segments.append(try decode(part, plusIsSpace: false))
    }
    return segments
  }

  private static func query(of bytes: ArraySlice<UInt8>) throws(HTTPError) -> Query {
    var items: [Query.Item] = []
    for pair in bytes.split(separator: 0x26) {
      let parts = pair.split(separator: 0x3D, maxSplits: 1, omittingEmptySubsequences: false)
      let name = try decode(parts[0], plusIsSpace: true)
      let value = parts.count == 2 ? try decode(parts[1], plusIsSpace: true) : ""
      items.append((name, value))
    }
    return Query(items)
  }

  private static func decode(
    _ part: ArraySlice<UInt8>, plusIsSpace: Bool
  ) throws(HTTPError) -> String {
    guard let text = PercentCoding.decode(part, plusIsSpace: plusIsSpace) else {
      throw .badTarget(found: quoted(part), expected: "percent-encoded UTF-8 without NUL")
    }
    return text
  }
}
