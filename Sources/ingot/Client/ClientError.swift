// Why a command got no answer from a server that it can use. Problem documents: RFC 9457.

import Foundation
import SystemIO

/// What went wrong between a command and a server.
enum ClientError: Error {
  /// There is no connection, or it ended before the answer was complete.
  case lost(String)
  /// The server answered that it will not.
  case refused(ServerProblem)
  /// What came is no answer of Ingot.
  case notUnderstood(String)
  /// The answer could not be kept.
  case disk(DiskError)

  /// Whether the same request may succeed later.
  var isRetryable: Bool {
    switch self {
    case .lost: true
    case .refused(let problem): problem.isRetryable
    case .notUnderstood, .disk: false
    }
  }

  /// How long the server asked to be left alone.
  var retryAfter: Duration? {
    if case .refused(let problem) = self { problem.retryAfter } else { nil }
  }
}

extension ClientError: CustomStringConvertible {
  var description: String {
    switch self {
    case .lost(let reason): reason
    case .refused(let problem): "\(problem)"
    case .notUnderstood(let reason): reason
    case .disk(let error): "\(error)"
    }
  }
}

/// A refusal as the server gave it.
struct ServerProblem: Sendable, CustomStringConvertible {
  /// Method and path.
  let request: String
  let status: Int
  /// Empty when the answer is no problem document, as from a proxy.
  let code: String
  let detail: String
  let isRetryable: Bool
  let retryAfter: Duration?

  private struct Document: Decodable {
    let code: String?
    let detail: String?
    let retryable: Bool?
  }

  /// These may pass without help. Sources: RFC 6585 section 4; RFC 9110 sections 15.6.3 to 15.6.5; RFC 4918
  /// section 11.5.
  private static let passingStatuses = [429, 502, 503, 504, 507]

  /// - Parameter content: The body of the answer, as far as it was read.
  init(request: String, head: ResponseHead, content: [UInt8]) {
    self.request = request
    status = head.status
    let document = try? JSONDecoder().decode(Document.self, from: Data(content))
    code = document?.code ?? ""
    detail = document?.detail ?? ""
    isRetryable = document?.retryable ?? Self.passingStatuses.contains(head.status)
    retryAfter = head.first("retry-after").flatMap { Int($0) }.map { .seconds($0) }
  }

  var description: String {
    let name = code.isEmpty ? "\(status)" : "\(status) \(code)"
    return "\(request) was answered with \(name)" + (detail.isEmpty ? "" : ": \(detail)")
  }
}
