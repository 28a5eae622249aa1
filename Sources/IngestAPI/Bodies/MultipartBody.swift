// multipart/form-data, split strictly into its parts. What the parts mean:
// BodyDecoder+Multipart.swift.

/// One part of a form.
struct MultipartPart {
  let name: String
  /// In lower case, without parameters; `nil` when the part does not say.
  let contentType: String?
  let content: BodyBytes
}

/// The parts of a form.
///
/// Strict where readers differ: no preamble, no epilogue, CRLF only, no folded header lines, no
/// name twice.
///
/// Source: RFC 7578; RFC 2046 section 5.1.1.
struct MultipartBody {
  private(set) var parts: [MultipartPart] = []

  init(_ body: BodyBytes, boundary: [UInt8], limits: BodyLimits) throws(BodyError) {
    let dashes = Array("--".utf8)
    let delimiter = Array("\r\n--".utf8) + boundary
    guard body.hasBytes(dashes + boundary, at: 0) else {
      throw .brokenMultipart(reason: "it does not start with its boundary")
    }
    var position = dashes.count + boundary.count
    while !body.hasBytes(dashes, at: position) {
      guard body.hasBytes([0x0D, 0x0A], at: position) else {
        throw .brokenMultipart(reason: "the boundary at byte \(position) has no line end")
      }
      guard parts.count < limits.partCountMax else {
        throw .tooManyMembers(found: parts.count + 1, max: limits.partCountMax)
      }
      let headers = try PartHeaders(
        body, at: position + 2, byteCountMax: limits.partHeaderByteCountMax)
      // The line end before a delimiter belongs to it, also when the part is empty.
      guard let end = body.firstOffset(of: delimiter, from: headers.end) else {
        throw .brokenMultipart(reason: "part \(headers.name) does not end: the body was cut")
      }
      guard let content = body.slice(at: headers.end, byteCount: end - headers.end) else {
        throw .brokenMultipart(reason: "part \(headers.name) ends before it starts")
      }
      guard !parts.contains(where: { $0.name == headers.name }) else {
        throw .duplicateMember(name: String(headers.name.prefix(80)))
      }
      parts.append(
        MultipartPart(name: headers.name, contentType: headers.contentType, content: content))
      position = end + delimiter.count
    }
    let rest = body.count - position - dashes.count
    guard rest == 0 || (rest == 2 && body.hasBytes([0x0D, 0x0A], at: position + 2)) else {
      throw .brokenMultipart(reason: "\(rest) bytes follow the last boundary")
    }
  }

  func part(_ name: String) throws(BodyError) -> MultipartPart {
    guard let part = parts.first(where: { $0.name == name }) else {
      throw .missingMember(name: name, found: parts.map { String($0.name.prefix(80)) })
    }
    return part
  }
}

/// The header lines of one part.
private struct PartHeaders {
  private(set) var name = ""
  private(set) var contentType: String?
  /// Where the content starts.
  let end: Int

  init(_ body: BodyBytes, at start: Int, byteCountMax: Int) throws(BodyError) {
    var position = start
    var disposition: HeaderParameters?
    while true {
      guard let lineEnd = body.firstOffset(of: 0x0D, from: position),
        body[lineEnd + 1] == 0x0A, lineEnd - start <= byteCountMax,
        let line = body.slice(at: position, byteCount: lineEnd - position)
      else { throw .brokenMultipart(reason: "a part's header does not end") }
      position = lineEnd + 2
      if line.count == 0 { break }
      let (field, value) = try Self.split(line)
      switch field {
      case "content-disposition":
        guard disposition == nil, let parsed = HeaderParameters(value) else {
          throw .brokenMultipart(reason: "a part's Content-Disposition is malformed or repeated")
        }
        disposition = parsed
      case "content-type":
        guard contentType == nil, let parsed = HeaderParameters(value) else {
          throw .brokenMultipart(reason: "a part's Content-Type is malformed or repeated")
        }
        contentType = parsed.name
      case "content-transfer-encoding":
        guard ["binary", "8bit", "7bit"].contains(value.lowercased()) else {
          throw .brokenMultipart(reason: "a part is encoded as \(value.prefix(40))")
        }
      default: break
      }
    }
    guard let disposition, disposition.name == "form-data", let name = disposition["name"] else {
      throw .brokenMultipart(reason: "a part is not form-data with a name")
    }
    self.name = name
    end = position
  }

  /// The field's name in lower case and its value without space around it.
  private static func split(_ line: BodyBytes) throws(BodyError) -> (String, String) {
    let bytes = unsafe Array(line.buffer)
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), colon > 0,
      bytes[..<colon].allSatisfy({ (0x21...0x7E).contains($0) }),
      !bytes.contains(0), !bytes.contains(0x0A)
    else { throw .brokenMultipart(reason: "a part's header line is malformed") }
    let isSpace = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
    var value = bytes[(colon + 1)...].drop(while: isSpace)
    while let last = value.last, isSpace(last) { value.removeLast() }
    let field = String(decoding: bytes[..<colon], as: UTF8.self).lowercased()
    return (field, String(decoding: value, as: UTF8.self))
  }
}
