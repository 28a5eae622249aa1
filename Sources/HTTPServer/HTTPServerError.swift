// Why the server could not start.

internal import Foundation

package enum HTTPServerError: Error, Equatable, Sendable {
  case addressInUse(host: String, port: UInt16)
  case permissionDenied(host: String, port: UInt16)
  case unknownHost(host: String, reason: String)
  case bindFailed(host: String, port: UInt16, operation: String, errno: Int32)
  case noResources(operation: String, errno: Int32)
}

extension HTTPServerError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .addressInUse(let host, let port):
      "cannot listen on \(host) port \(port): the address is in use; choose another port"
    case .permissionDenied(let host, let port):
      "cannot listen on \(host) port \(port): not permitted; ports below 1024 need a privilege"
    case .unknownHost(let host, let reason):
      "cannot listen on \(host): \(reason); expected a name or an address of this machine"
    case .bindFailed(let host, let port, let operation, let errno):
      "cannot listen on \(host) port \(port): \(operation) failed: \(Self.text(of: errno))"
    case .noResources(let operation, let errno):
      "cannot start the server: \(operation) failed: \(Self.text(of: errno))"
    }
  }

  private static func text(of errno: Int32) -> String {
    guard let text = unsafe strerror(errno) else { return "errno \(errno)" }
    return unsafe String(cString: text)
  }
}
