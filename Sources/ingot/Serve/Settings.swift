// Every setting of `ingot serve`: a flag, an environment variable, a line of the configuration file.
// Listed in docs/operating.md; limits in docs/limits.md.

import Configuration
import Foundation
import HTTPServer
import IngestAPI
import IngestService
import Logging

/// The names of the settings. A flag is `--NAME`, a variable `INGOT_NAME` in upper case with `_`, a line of the
/// configuration file `"NAME": …`.
enum SettingName: String, CaseIterable {
  case store
  case storeUUID = "store-uuid"
  case listen
  case insecureListen = "insecure-listen"
  case logLevel = "log-level"
  case shardBytes = "shard-bytes"
  case diskReserve = "disk-reserve"
  case inFlightBytes = "in-flight-bytes"
  case maxBodyBytes = "max-body-bytes"
  case maxDecodedBytes = "max-decoded-bytes"
  case maxConnections = "max-connections"
  case maxHeadBytes = "max-head-bytes"
  case maxHeaderFields = "max-header-fields"
  case headSeconds = "head-seconds"
  case bodyIdleSeconds = "body-idle-seconds"
  case keepAliveSeconds = "keep-alive-seconds"
  case drainSeconds = "drain-seconds"
  case ioThreads = "io-threads"
  case workerThreads = "worker-threads"
  case scrubRate = "scrub-rate"
  case scrubDays = "scrub-days"
  case compactPercent = "compact-percent"
  case compactRate = "compact-rate"

  var variable: String { "INGOT_" + rawValue.uppercased().replacing("-", with: "_") }
}

/// A setting that cannot be used. Exit code 64.
struct SettingError: Error, CustomStringConvertible {
  let description: String
}

/// Values with one precedence: flag, environment, configuration file, default.
struct SettingReader {
  private let reader: ConfigReader
  /// What each setting is called where it was given, for messages.
  private let origins: [SettingName: String]

  /// - Parameters:
  ///   - flags: Given on the command line, by name.
  ///   - file: Path of a JSON file; nil for none.
  init(
    flags: [SettingName: String], environment: [String: String], file: String?
  ) throws(SettingError) {
    var providers: [any ConfigProvider] = [
      InMemoryProvider(name: "flags", values: Self.values(flags)),
      EnvironmentVariablesProvider(environmentVariables: environment),
    ]
    let lines = try file.map { path throws(SettingError) in try Self.read(path) } ?? [:]
    providers.append(InMemoryProvider(name: "file", values: Self.values(lines)))
    reader = ConfigReader(providers: providers)
    var origins = lines.mapValues { _ in "configuration file \(file ?? "")" }
    for name in SettingName.allCases {
      if environment[name.variable] != nil { origins[name] = name.variable }
      if flags[name] != nil { origins[name] = "--\(name.rawValue)" }
    }
    self.origins = origins
  }

  /// A setting's name, and where its value came from.
  func named(_ name: SettingName) -> String {
    "\(name.rawValue) (\(origins[name] ?? "default"))"
  }

  func text(_ name: SettingName) -> String? { reader.string(forKey: Self.key(name)) }

  private static func key(_ name: SettingName) -> ConfigKey { ConfigKey(["ingot", name.rawValue]) }

  private static func values(
    _ texts: [SettingName: String]
  ) -> [AbsoluteConfigKey: ConfigValue] {
    Dictionary(
      uniqueKeysWithValues: texts.map { name, text in
        (AbsoluteConfigKey(["ingot", name.rawValue]), ConfigValue(.string(text), isSecret: false))
      })
  }

  /// A flat JSON object whose keys are names of settings.
  private static func read(_ path: String) throws(SettingError) -> [SettingName: String] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw SettingError(description: "configuration file \(path) cannot be read")
    }
    guard let members = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
      throw SettingError(
        description: "configuration file \(path) is not a JSON object; "
          + #"expected for example {"shard-bytes": "256MiB"}"#)
    }
    var texts: [SettingName: String] = [:]
    for (key, value) in members {
      guard let name = SettingName(rawValue: key) else {
        let known = SettingName.allCases.map(\.rawValue).joined(separator: ", ")
        throw SettingError(
          description:
            "configuration file \(path): there is no setting '\(key)'; known are \(known)")
      }
      switch value {
      case let text as String: texts[name] = text
      case let number as NSNumber: texts[name] = "\(number)"
      default:
        throw SettingError(
          description: "configuration file \(path): \(key) is neither text, number nor true/false")
      }
    }
    return texts
  }
}

extension SettingReader {
  /// Bytes: `1048576`, `1MiB`, `1.5GiB`, `500MB`.
  func byteCount(_ name: SettingName, in range: ClosedRange<Int>) throws(SettingError) -> Int? {
    guard let text = text(name) else { return nil }
    guard let value = ByteCountText.parse(text) else {
      throw SettingError(
        description: "\(named(name)) is '\(text)', expected a size such as 1048576 or 1MiB")
    }
    guard range.contains(value) else {
      throw SettingError(
        description: "\(named(name)) is \(value) bytes, expected \(range.lowerBound) to "
          + "\(range.upperBound)")
    }
    return value
  }

  func integer(_ name: SettingName, in range: ClosedRange<Int>) throws(SettingError) -> Int? {
    guard let text = text(name) else { return nil }
    guard let value = Int(text), range.contains(value) else {
      throw SettingError(
        description: "\(named(name)) is '\(text)', expected an integer from \(range.lowerBound) "
          + "to \(range.upperBound)")
    }
    return value
  }

  func seconds(_ name: SettingName) throws(SettingError) -> Duration? {
    guard let text = text(name) else { return nil }
    guard let value = Double(text), value > 0, value <= 86_400 else {
      throw SettingError(
        description:
          "\(name.rawValue) is '\(text)', expected seconds, more than 0 and at most 86400")
    }
    return .milliseconds(Int64(value * 1000))
  }

  func days(_ name: SettingName) throws(SettingError) -> Duration? {
    guard let text = text(name) else { return nil }
    guard let value = Double(text), value > 0, value <= 3650 else {
      throw SettingError(
        description: "\(named(name)) is '\(text)', expected days, more than 0 and at most 3650")
    }
    return .milliseconds(Int64(value * 86_400_000))
  }

  func flag(_ name: SettingName) throws(SettingError) -> Bool {
    guard let text = text(name)?.lowercased() else { return false }
    switch text {
    case "true", "1", "yes": return true
    case "false", "0", "no": return false
    default:
      throw SettingError(description: "\(named(name)) is '\(text)', expected true or false")
    }
  }
}

/// Sizes as people write them.
enum ByteCountText {
  private static let units: [(name: String, factor: Double)] = [
    ("KiB", 1024), ("MiB", 1_048_576), ("GiB", 1_073_741_824), ("TiB", 1_099_511_627_776),
    ("kB", 1e3), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("B", 1),
  ]

  /// Nil for anything but digits, at most one point, and a known unit.
  static func parse(_ text: String) -> Int? {
    if let plain = Int(text), plain >= 0 { return plain }
    guard let unit = units.first(where: { text.hasSuffix($0.name) }) else { return nil }
    let number = text.dropLast(unit.name.count)
    let isNumber =
      !number.isEmpty && number.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2E }
    guard isNumber, let value = Double(number), value * unit.factor < Double(1 << 62) else {
      return nil
    }
    return Int(value * unit.factor)
  }
}
