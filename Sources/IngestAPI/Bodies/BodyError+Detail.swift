// What a refused body's sender, or the owner of a file, is told: what was found, what was expected, what to do.

internal import ShardStore

extension BodyError: CustomStringConvertible {
  package var description: String { "\(code): \(detail)" }

  /// The `detail` of the problem document.
  package var detail: String { detail(.body) }

  /// The same of what lies in a file. Used by `ingot import`.
  package var fileDetail: String { detail(.file) }

  /// What to do about a body is another thing than about a file.
  private struct Advice {
    /// As in "send x.astype('float32')".
    let send: String
    /// Of bytes that are not those that were meant.
    let again: String

    static let body = Advice(send: "send", again: "send it again")
    static let file = Advice(
      send: "save", again: "the file is damaged or was cut; take another copy, or save it again")
  }

  private func detail(_ advice: Advice) -> String {
    switch self {
    case .unsupportedMediaType, .missingBoundary, .badDigestHeader, .digestMismatch, .badIDsHeader,
      .missingIDs, .unexpectedIDs:
      requestDetail
    case .brokenZip, .unsupportedZip, .memberChecksum, .brokenMultipart, .tooManyMembers,
      .duplicateMember, .missingMember, .brokenNumPy, .truncatedMember, .trailingBytes:
      containerDetail(advice)
    case .badJSON, .jsonTooDeep, .badJSONShape, .duplicateKey, .badBase64, .badRowIndex:
      jsonDetail
    case .tooLargeDecoded, .tooManyRows, .inFlightFull, .idListTooLong, .dimensionTooLarge:
      sizeDetail
    case .objectDtype, .structuredDtype, .wrongDtype, .wrongByteOrder, .wrongIDType, .noIntegerIDs,
      .fortranOrder, .wrongRank, .zeroRows, .zeroDimension, .wrongDimension:
      arrayDetail(advice)
    case .nonFinite, .emptyID, .idTooLong, .idNotUTF8, .duplicateID, .idCountMismatch:
      rowDetail
    }
  }

  private var requestDetail: String {
    switch self {
    case .unsupportedMediaType(let found):
      """
      Content-Type \(found.prefix(100)) is not taken; send application/x-npz, application/x-npy, \
      multipart/form-data, application/json or application/x-ndjson
      """
    case .missingBoundary:
      "multipart/form-data needs a boundary parameter of 1 to 70 characters"
    case .badDigestHeader(let reason): "Content-Digest: \(reason)"
    case .digestMismatch(let algorithm, let expected, let found):
      "Content-Digest says \(algorithm) \(expected), the body has \(found): send it again"
    case .badIDsHeader(let reason): "the ids beside the body: \(reason)"
    case .missingIDs:
      "application/x-npy has no ids: send X-Ingot-Ids: 1000..1511, a comma list, or ?first_id=1000"
    case .unexpectedIDs:
      "ids stand beside the body and in it: send X-Ingot-Ids or first_id only with x-npy"
    default: ""
    }
  }

  private func containerDetail(_ advice: Advice) -> String {
    switch self {
    case .brokenZip(let reason): "the archive is broken: \(reason)"
    case .unsupportedZip(let reason):
      "the archive uses \(reason): write it with numpy.savez or numpy.savez_compressed"
    case .memberChecksum(let member, let expected, let found):
      "\(member) has CRC-32 \(hex(found)), the archive says \(hex(expected)): \(advice.again)"
    case .brokenMultipart(let reason): "the multipart body is broken: \(reason)"
    case .tooManyMembers(let found, let max):
      "the body has \(found) members or more; at most \(max) are read"
    case .duplicateMember(let name): "\(name) is there twice"
    case .missingMember(let name, let found):
      "\(name) is missing; found \(found.isEmpty ? "nothing" : found.joined(separator: ", "))"
    case .brokenNumPy(let member, let problem): "\(member) is not a .npy array: \(problem)"
    case .truncatedMember(let member, let expected, let found):
      "\(member) ends after \(found) of \(expected) bytes: \(advice.again)"
    case .trailingBytes(let member, let expected, let found):
      "\(member) has \(found) bytes and its header accounts for \(expected)"
    default: ""
    }
  }

  private var jsonDetail: String {
    switch self {
    case .badJSON(let reason, let place): "not JSON: \(reason)\(place)"
    case .jsonTooDeep(let max, let place):
      "arrays and objects are nested deeper than \(max)\(place)"
    case .badJSONShape(let reason, let place): "\(reason)\(place)"
    case .duplicateKey(let key, let place): "the key \"\(key)\" is there twice\(place)"
    case .badBase64(let place):
      "an embedding that is a string must be padded base64 of little-endian numbers\(place)"
    case .badRowIndex(let reason): "the rows' \"index\" must count from 0: \(reason)"
    default: ""
    }
  }

  private var sizeDetail: String {
    switch self {
    case .tooLargeDecoded(let needed?, let max):
      "the body decodes to \(needed) bytes; at most \(max) are taken: send smaller batches"
    case .tooLargeDecoded(nil, let max):
      "the body decodes to more than \(max) bytes: send smaller batches"
    case .tooManyRows(let found, let max):
      "the batch has \(found) rows or more; at most \(max) are taken: send smaller batches"
    case .inFlightFull(let needed):
      "decoding needs \(needed) bytes that are in use for other requests: try again"
    case .idListTooLong(let max): "the ids need more than \(max) bytes: send smaller batches"
    case .dimensionTooLarge(let found, let max):
      "embeddings has \(found) numbers or more in a row; at most \(max) are taken"
    default: ""
    }
  }

  private func arrayDetail(_ advice: Advice) -> String {
    switch self {
    case .objectDtype(let member):
      "\(member) holds Python objects, which are never unpickled: \(conversion(of: member, advice))"
    case .structuredDtype(let member):
      "\(member) has a structured dtype: \(advice.send) one plain array"
    case .wrongDtype(let member, let found, let expected?):
      """
      \(member) has dtype \(found); this collection stores \(expected.rawValue): \
      \(advice.send) \(member).astype('\(expected.name)')
      """
    case .wrongDtype(let member, let found, nil):
      """
      \(member) has dtype \(found); collections store <f4 or <f2: \
      \(advice.send) \(member).astype('float32')
      """
    case .wrongByteOrder(let member, let found):
      """
      \(member) has dtype \(found), which is not little-endian: \
      \(advice.send) \(member).astype(\(member).dtype.newbyteorder('<'))
      """
    case .wrongIDType(let found):
      "ids has \(found); ids are strings or integers: \(advice.send) ids.astype(str)"
    case .noIntegerIDs(let dtype):
      "ids has dtype \(dtype), and an array here holds integers: send text, one id per line, or int64"
    case .fortranOrder(let member):
      "\(member) is stored column by column: \(advice.send) np.ascontiguousarray(\(member))"
    case .wrongRank(let member, let found, let expected):
      """
      \(member) has shape (\(found.map(String.init).joined(separator: ", "))); \
      expected \(expected == 1 ? "one axis: (rows,)" : "two axes: (rows, dimension)")
      """
    case .zeroRows: "the batch has no rows: send at least one"
    case .zeroDimension: "the rows have no numbers"
    case .wrongDimension(let found, let expected, let row, let place):
      """
      \(row.map { "row \($0.index)\($0.idText)" } ?? "embeddings") has dimension \(found), \
      expected \(expected)\(place.map(\.description) ?? "")
      """
    default: ""
    }
  }

  private var rowDetail: String {
    switch self {
    case .nonFinite(let rows):
      "\(rows.summary) NaN, infinity or a number beyond the dtype's range: leave them out"
    case .emptyID(let rows): "\(rows.summary) an empty id"
    case .idTooLong(let rows):
      "\(rows.summary) an id of more than \(IDList.idByteCountMax) bytes of UTF-8"
    case .idNotUTF8(let rows): "\(rows.summary) an id that is not Unicode text"
    case .duplicateID(let rows): "\(rows.summary) an id that an earlier row of the batch has"
    case .idCountMismatch(let idCount, let rowCount):
      "there are \(idCount) ids for \(rowCount) rows"
    default: ""
    }
  }

  private func conversion(of member: String, _ advice: Advice) -> String {
    "\(advice.send) \(member).astype(\(member == "ids" ? "str" : "'float32'"))"
  }

  private func hex(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}

extension Offenders {
  /// The subject of a sentence about these rows, with its verb.
  fileprivate var summary: String {
    guard let first = listed.first else { return "a row has" }
    let name = "row \(first.index)\(first.idText)"
    return count == 1 ? "\(name) has" : "\(count) rows, first \(name), have"
  }
}

extension Offender {
  fileprivate var idText: String { id.map { " (id \($0))" } ?? "" }
}

extension JSONPlace: CustomStringConvertible {
  /// A tail for a sentence; empty when nothing is known.
  package var description: String {
    var parts: [String] = []
    if let line { parts.append("line \(line)") }
    if let row { parts.append("row \(row)") }
    if let offset { parts.append("byte \(offset)") }
    return parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))"
  }
}
