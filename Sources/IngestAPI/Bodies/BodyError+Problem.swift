// How a refused body is answered: the one mapping of body errors to statuses and stable codes.

extension BodyError {
  /// The HTTP status.
  package var status: Int { answer.status }

  /// The stable code of the problem document.
  package var code: String { answer.code }

  private var answer: (status: Int, code: String) {
    switch self {
    case .unsupportedMediaType: (415, "unsupported-media-type")
    case .missingBoundary: (400, "missing-boundary")
    case .badDigestHeader: (400, "bad-digest-header")
    case .digestMismatch: (400, "digest-mismatch")
    case .badIDsHeader: (400, "bad-ids-header")
    case .missingIDs: (400, "missing-ids")
    case .unexpectedIDs: (400, "unexpected-ids")
    case .brokenZip: (400, "broken-zip")
    case .unsupportedZip: (400, "unsupported-zip")
    case .memberChecksum: (400, "member-checksum")
    case .brokenMultipart: (400, "broken-multipart")
    case .tooManyMembers: (413, "too-many-members")
    case .duplicateMember: (400, "duplicate-member")
    case .missingMember: (400, "missing-member")
    case .brokenNumPy: (400, "broken-npy")
    case .truncatedMember: (400, "truncated-member")
    case .trailingBytes: (400, "trailing-bytes")
    case .badJSON: (400, "bad-json")
    case .jsonTooDeep: (400, "json-too-deep")
    case .badJSONShape: (400, "bad-json-shape")
    case .duplicateKey: (400, "duplicate-key")
    case .badBase64: (400, "bad-base64")
    case .badRowIndex: (400, "bad-row-index")
    case .tooLargeDecoded: (413, "body-too-large-decoded")
    case .tooManyRows: (413, "too-many-rows")
    case .inFlightFull: (429, "in-flight-full")
    case .objectDtype: (422, "object-dtype")
    case .structuredDtype: (422, "structured-dtype")
    case .wrongDtype: (422, "wrong-dtype")
    case .wrongByteOrder: (422, "wrong-byte-order")
    case .wrongIDType, .noIntegerIDs: (422, "wrong-id-type")
    case .fortranOrder: (422, "fortran-order")
    case .wrongRank: (422, "wrong-rank")
    case .zeroRows: (422, "zero-rows")
    case .zeroDimension: (422, "zero-dimension")
    case .dimensionTooLarge: (422, "dimension-too-large")
    case .wrongDimension: (422, "wrong-dimension")
    case .nonFinite: (422, "non-finite")
    case .emptyID: (422, "empty-id")
    case .idTooLong: (422, "id-too-long")
    case .idNotUTF8: (422, "id-not-utf8")
    case .duplicateID: (422, "duplicate-id")
    case .idListTooLong: (413, "id-list-too-long")
    case .idCountMismatch: (422, "id-count-mismatch")
    }
  }

  private var rows: Offenders {
    switch self {
    case .nonFinite(let rows), .emptyID(let rows), .idTooLong(let rows), .idNotUTF8(let rows),
      .duplicateID(let rows):
      return rows
    case .wrongDimension(_, _, let row?, _):
      var rows = Offenders()
      rows.add(index: row.index, id: row.id)
      return rows
    default:
      return Offenders()
    }
  }

  /// The rows at fault, at most ``Offenders/listedCountMax``; empty when it is not about rows.
  package var offenders: [Offender] { rows.listed }

  /// How many rows are at fault.
  package var offenderCount: Int { rows.count }
}
