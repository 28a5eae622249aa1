// The settings of `ingot serve`, checked, as the configurations of the layers.

import Foundation
import HTTPCore
import HTTPServer
import IngestAPI
import IngestService
import Logging
import ShardStore

/// All that a server needs to know before it touches a file or a socket.
struct ServeSettings {
  var store: String
  var address: ListenAddress
  var logLevel = Logger.Level.info
  var service = ServiceConfiguration()
  var api = APIConfiguration()
  var server = HTTPServerConfiguration()
  var workerCount = max(1, min(ProcessInfo.processInfo.activeProcessorCount, 4))

  init(_ reader: SettingReader) throws(SettingError) {
    guard let store = reader.text(.store), !store.isEmpty else {
      throw SettingError(
        description: "store is missing: give --store DIR, INGOT_STORE, or a line of the "
          + "configuration file")
    }
    self.store = store
    if let text = reader.text(.storeUUID) {
      guard let uuid = StoreUUID(text) else {
        throw SettingError(
          description: "\(reader.named(.storeUUID)) is '\(text)', expected a UUID as in store.json")
      }
      service.expectedStoreUUID = uuid
    }
    address = try ListenAddress(reader.text(.listen) ?? "127.0.0.1:8080")
    let isInsecureAllowed = try reader.flag(.insecureListen)
    guard address.isLoopback || isInsecureAllowed else {
      throw SettingError(
        description:
          "listen is \(address), which others can reach, and there is no access control; "
          + "give --insecure-listen if that is meant")
    }
    if let text = reader.text(.logLevel) {
      guard let level = Logger.Level(rawValue: text) else {
        let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        throw SettingError(
          description: "\(reader.named(.logLevel)) is '\(text)', expected one of \(levels)")
      }
      logLevel = level
    }
    api.version = IngotVersion.current
    try readSizes(reader)
    try readServer(reader)
  }

  private mutating func readSizes(_ reader: SettingReader) throws(SettingError) {
    service.shardByteCount =
      try reader.byteCount(.shardBytes, in: 4096...(1 << 40)) ?? service.shardByteCount
    service.diskReserveByteCount =
      try reader.byteCount(.diskReserve, in: 0...(1 << 50)) ?? service.diskReserveByteCount
    service.inFlightByteCountMax =
      try reader.byteCount(.inFlightBytes, in: (1 << 20)...(1 << 40))
      ?? service.inFlightByteCountMax
    service.scrubRate = try reader.byteCount(.scrubRate, in: 1...(1 << 40)) ?? service.scrubRate
    service.scrubAge = try reader.days(.scrubDays) ?? service.scrubAge
    if let percent = try reader.integer(.compactPercent, in: 0...100) {
      service.compactsByItself = percent > 0
      service.compactionDeadPercent = max(1, percent)
    }
    service.compactionRate =
      try reader.byteCount(.compactRate, in: 1...(1 << 40)) ?? service.compactionRate
    let bodyDefault = min(api.bodyByteCountMax, service.inFlightByteCountMax)
    api.bodyByteCountMax =
      try reader.byteCount(.maxBodyBytes, in: 4096...(1 << 30)) ?? bodyDefault
    guard api.bodyByteCountMax <= service.inFlightByteCountMax else {
      throw SettingError(
        description: "max-body-bytes is \(api.bodyByteCountMax), more than in-flight-bytes, "
          + "\(service.inFlightByteCountMax): such a body would never be admitted")
    }
    api.limits.decodedByteCountMax =
      try reader.byteCount(.maxDecodedBytes, in: 4096...(1 << 30))
      ?? max(api.limits.decodedByteCountMax, api.bodyByteCountMax)
  }

  private mutating func readServer(_ reader: SettingReader) throws(SettingError) {
    server.host = address.host
    server.port = address.port
    server.connectionCountMax =
      try reader.integer(.maxConnections, in: 1...100_000) ?? server.connectionCountMax
    server.head.headByteCountMax =
      try reader.byteCount(.maxHeadBytes, in: 1024...(1 << 20)) ?? server.head.headByteCountMax
    server.head.fieldCountMax =
      try reader.integer(.maxHeaderFields, in: 8...10_000) ?? server.head.fieldCountMax
    server.headDeadline = try reader.seconds(.headSeconds) ?? server.headDeadline
    server.bodyIdleDeadline = try reader.seconds(.bodyIdleSeconds) ?? server.bodyIdleDeadline
    server.keepAliveDeadline = try reader.seconds(.keepAliveSeconds) ?? server.keepAliveDeadline
    server.drainDeadline = try reader.seconds(.drainSeconds) ?? server.drainDeadline
    server.loopCount = try reader.integer(.ioThreads, in: 1...256)
    workerCount = try reader.integer(.workerThreads, in: 1...256) ?? workerCount
  }
}

/// `HOST:PORT`, with an IPv6 address in brackets.
struct ListenAddress: CustomStringConvertible {
  let host: String
  let port: UInt16

  init(_ text: String) throws(SettingError) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...])
    else {
      throw SettingError(
        description: "listen is '\(text)', expected HOST:PORT such as 127.0.0.1:8080, with a port "
          + "from 0 to 65535")
    }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    guard !host.isEmpty else {
      throw SettingError(description: "listen is '\(text)', its host is missing")
    }
    self.host = String(host)
    self.port = port
  }

  /// Whether only this machine can reach it. A name may stand for any address, but for `localhost`.
  ///
  /// Source: RFC 1122 section 3.2.1.3 (g), RFC 4291 section 2.5.3, RFC 6761 section 6.3, man 3 inet_pton.
  var isLoopback: Bool {
    if host == "localhost" { return true }
    var (old, new) = (in_addr(), in6_addr())
    if unsafe inet_pton(AF_INET, host, &old) == 1 {
      return UInt32(bigEndian: old.s_addr) >> 24 == 127
    }
    guard unsafe inet_pton(AF_INET6, host, &new) == 1 else { return false }
    return unsafe withUnsafeBytes(of: new) {
      unsafe $0.elementsEqual([UInt8](repeating: 0, count: 15) + [1])
    }
  }

  var description: String { Self.text(host: host, port: port) }

  static func text(host: String, port: UInt16) -> String {
    host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }
}
