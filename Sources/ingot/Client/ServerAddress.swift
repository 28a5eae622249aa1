// Where a server listens, as `--url` names it.

internal import ArgumentParser

/// Host and port; plain HTTP.
struct ServerAddress: Sendable {
  var host: String
  var port: UInt16

  init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// `http://HOST`, `http://HOST:PORT`, with or without a slash behind; nil for anything else.
  init?(url: String) {
    guard url.hasPrefix("http://") else { return nil }
    var rest = url.dropFirst("http://".count)
    if rest.last == "/" { rest.removeLast() }
    let portStart = rest.lastIndex(of: ":").flatMap { rest[$0...].contains("]") ? nil : $0 }
    var host = portStart.map { rest[..<$0] } ?? rest
    if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
    let portText = portStart.map { rest[rest.index(after: $0)...] } ?? "80"
    guard let port = UInt16(portText), !host.isEmpty,
      host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") })
    else { return nil }
    self.init(host: String(host), port: port)
  }

  /// What the option `--url` of a command says.
  init(option url: String) throws(ValidationError) {
    guard let address = ServerAddress(url: url) else {
      throw ValidationError("--url: '\(url)' is no address such as http://127.0.0.1:8080")
    }
    self = address
  }

  /// Commands read a store themselves, or ask the server that has it open.
  static func checkIsEither(store: String?, url: String?) throws(ValidationError) {
    switch (store, url) {
    case (nil, nil): throw ValidationError("either --store or --url is needed")
    case (_?, _?):
      throw ValidationError("--store and --url exclude each other: give --store or --url")
    default: break
    }
  }

  var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  var url: String { "http://\(authority)" }
}
