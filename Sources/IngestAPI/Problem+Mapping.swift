// Which error becomes which problem: the one place. The codes are listed in openapi.yaml.

package import HTTPCore
package import IngestService
package import ShardStore

extension Problem {
  package init(_ error: IngestError) {
    switch error {
    case .diskFull(let needed, let free, let reason):
      self.init(
        status: 507, code: "disk-full",
        detail: "the disk has \(free) bytes free and \(needed) are needed (\(reason)); nothing was "
          + "written. Keep the batch and send it again when there is room: writing goes on by itself.",
        isRetryable: true,
        members: [
          ("needed_bytes", .integer(needed)), ("free_bytes", .integer(free)),
          ("reason", .string(reason)),
        ],
        fields: [("Retry-After", "5")])
    case .inFlightLimit(let limit):
      self.init(
        status: 429, code: "in-flight-limit",
        detail: "\(limit) bytes may be in flight and are; send the batch again in a second",
        isRetryable: true, members: [("limit", .integer(limit))], fields: [("Retry-After", "1")])
    case .keyReused(let batchID, let receipt):
      self.init(
        status: 422, code: "key-reused",
        detail: "batch id \(batchID) stands for other ids or rows"
          + (receipt.map { ", committed as sequence \($0.sequence)" } ?? ", in flight now")
          + "; nothing was written. Use a new id for new content.")
    case .shapeDiffers(let expected, let found):
      self.init(
        status: 422, code: "wrong-dimension",
        detail: "the batch has \(found); this collection stores \(expected)")
    case .storageFailed(let reason):
      self.init(
        status: 500, code: "storage-failed",
        detail: "the batch could not be made durable and was not acknowledged: \(reason). "
          + "Send it again with the same batch id.",
        isRetryable: true)
    case .noDescriptorLeft(let reason):
      self.init(
        status: 503, code: "no-descriptor",
        detail: "no file can be opened now and nothing was acknowledged: \(reason). Send the batch "
          + "again with the same batch id.",
        isRetryable: true, fields: [("Retry-After", "1")])
    case .draining:
      self.init(
        status: 503, code: "draining", detail: "the server is stopping; send the batch again later",
        isRetryable: true, fields: [("Retry-After", "5")])
    case .collectionUnknown(let name): self = .collectionUnknown(name)
    case .collectionDiffers(let reason):
      self.init(
        status: 409, code: "collection-differs",
        detail: "\(reason); a collection never changes its shape, so choose another name")
    case .collectionNameInvalid(let name):
      self.init(
        status: 400, code: "collection-name-invalid",
        detail:
          "'\(name.prefix(80))' is no name of a collection; expected 1 to 63 of a-z 0-9 . _ -, "
          + "with a letter or digit first")
    }
  }

  init(_ error: BodyError) {
    self.init(
      status: error.status, code: error.code, detail: error.detail,
      isRetryable: error.isRetryable)
    if error.offenderCount > 0 {
      members = [
        (
          "offenders",
          .array(
            error.offenders.map {
              .object([("index", .integer($0.index)), ("id", .optional($0.id))])
            })
        ),
        ("offender_count", .integer(error.offenderCount)),
      ]
    }
    switch error {
    case .unsupportedMediaType: self = .unsupportedMediaType(detail, accepts: BodyFormat.mediaTypes)
    case .inFlightFull: fields = [("Retry-After", "1")]
    case .tooLargeDecoded(_, let max), .tooManyRows(_, let max), .tooManyMembers(_, let max):
      members.append(("limit", .integer(max)))
    default: break
    }
  }

  package init(_ error: HTTPError) {
    self.init(status: error.status, code: error.code, detail: "\(error)")
    if case .tooManyConnections = error {
      isRetryable = true
      fields = [("Retry-After", "1")]
    }
    switch error {
    case .truncatedBody: isRetryable = true
    default: isRetryable = isRetryable || status == 408
    }
  }

  package init(_ error: RowDamaged) {
    self.init(
      status: 500, code: "row-damaged",
      detail: "shard \(ShardIdentity.directoryName(error.shard)), rows \(error.rows.lowerBound)..<"
        + "\(error.rows.upperBound): \(error.reason); other rows are served")
  }
}

extension BodyError {
  /// Whether the same bytes may be taken when they are sent again: there was no room, or they were damaged
  /// on their way.
  fileprivate var isRetryable: Bool {
    switch self {
    case .inFlightFull, .digestMismatch: true
    default: false
    }
  }
}

extension Problem {
  static func collectionUnknown(_ name: String) -> Problem {
    Problem(
      status: 404, code: "collection-unknown",
      detail: "there is no collection '\(name.prefix(80))'; create it with "
        + #"PUT /v1/collections/NAME and {"dimension":512,"dtype":"float32"}"#)
  }

  static func badParameter(_ detail: String) -> Problem {
    Problem(status: 400, code: "bad-parameter", detail: detail)
  }

  static func bodyTooLarge(found: Int?, max: Int) -> Problem {
    Problem(
      status: 413, code: "body-too-large",
      detail: "the body has \(found.map { "\($0)" } ?? "more than \(max)") bytes, \(max) are "
        + "allowed; send fewer rows per batch",
      members: [("limit", .integer(max))])
  }

  static func unsupportedMediaType(_ detail: String, accepts types: [String]) -> Problem {
    Problem(
      status: 415, code: "unsupported-media-type", detail: detail,
      members: [("accept", .array(types.map { .string($0) }))],
      fields: [("Accept-Post", types.joined(separator: ", "))])
  }

  /// Source: RFC 9110 section 12.5.3, for the field.
  static func unsupportedContentEncoding(_ coding: String) -> Problem {
    Problem(
      status: 415, code: "unsupported-content-encoding",
      detail: "Content-Encoding is '\(coding.prefix(40))'; send the body as it is. Members of an "
        + "npz may be deflated.",
      fields: [("Accept-Encoding", "identity")])
  }

  static func notAcceptable(_ types: [String]) -> Problem {
    Problem(
      status: 406, code: "not-acceptable",
      detail:
        "none of the types in Accept can be answered; there are \(types.joined(separator: ", "))",
      members: [("accept", .array(types.map { .string($0) }))])
  }
}

extension BodyFormat {
  /// What a batch may be sent as.
  static let mediaTypes = [
    "application/x-npz", "application/x-npy", "multipart/form-data", "application/json",
    "application/x-ndjson",
  ]
}
