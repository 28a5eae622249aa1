// What the benchmark needs to know of the short responses of the server under test. Reading: Client/ResponseReader.swift.

internal import SystemIO

struct HTTPResponse: Sendable {
  let status: Int
  /// The status, and the code of the problem document when there is one.
  let name: String
  let keepsConnection: Bool
}

struct HTTPResponseReader: Sendable {
  private var reader = ResponseReader()

  /// - Returns: nil when the connection ends first, or what comes is no response.
  mutating func read(from socket: ClientSocket) -> HTTPResponse? {
    do throws(ClientError) {
      let head = try reader.readHead(from: socket)
      var content: [UInt8] = []
      _ = try reader.readBody(of: head, from: socket) { piece throws(DiskError) in
        if head.status >= 400 { unsafe content.append(contentsOf: piece) }
      }
      return Self.response(head, content: content)
    } catch {
      return nil
    }
  }

  /// The code is looked for as text; the problem documents of the server are written without escapes in it.
  private static func response(_ head: ResponseHead, content: [UInt8]) -> HTTPResponse {
    var name = "\(head.status)"
    let text = String(decoding: content, as: UTF8.self)
    if let key = text.firstRange(of: #""code":"#) {
      let value = text[key.upperBound...].drop { $0 == " " || $0 == "\"" }.prefix { $0 != "\"" }
      name += " \(value.prefix(80))"
    }
    return HTTPResponse(status: head.status, name: name, keepsConnection: head.keepsConnection)
  }
}
