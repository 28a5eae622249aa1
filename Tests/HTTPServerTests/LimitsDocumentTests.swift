// docs/limits.md "HTTP" says what the configuration is, and by which setting it is changed.

import Foundation
import HTTPServer
import Testing

@Suite struct LimitsDocumentTests {
  private struct Row {
    let defaultValue: String
    let setting: String
  }

  private func text(of path: String) throws -> String {
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
    return try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  /// The rows of the table, by name; other headings have tables of their own.
  private func documented() throws -> [String: Row] {
    let lines = try text(of: "docs/limits.md").split(separator: "\n")
    let section = lines.drop { $0 != "## HTTP" }.dropFirst().prefix { !$0.hasPrefix("## ") }
    var rows: [String: Row] = [:]
    for line in section where line.hasPrefix("| `") {
      let cells = line.split(separator: "|").map {
        $0.trimmingCharacters(in: .whitespaces).replacing("`", with: "")
      }
      rows[cells[0]] = Row(defaultValue: cells[1], setting: cells[2])
    }
    return rows
  }

  @Test func givesEveryDefaultAsItIs() throws {
    let configuration = HTTPServerConfiguration()
    let rows = try documented()
    var names: Set<String> = []

    func check(_ value: Any, named name: String) {
      names.insert(name)
      let number = rows[name]?.defaultValue.split(separator: " ").first.map(String.init)
      switch value {
      case let duration as Duration: #expect(number == "\(duration.components.seconds)", "\(name)")
      case let value as any CustomStringConvertible:
        #expect(number == "\(value)", "\(name)")
      default: #expect(number != nil, "\(name)")
      }
    }
    for (label, value) in Mirror(reflecting: configuration).children {
      guard let label else { continue }
      if label == "head" {
        for (label, value) in Mirror(reflecting: value).children {
          check(value, named: "head.\(label ?? "")")
        }
      } else if label == "loopCount" {
        names.insert(label)
      } else {
        check(value, named: label)
      }
    }
    #expect(Set(rows.keys) == names)
  }

  /// The executable cannot be imported, so its source is read: `case headSeconds = "head-seconds"`.
  @Test func namesSettingsThatExist() throws {
    let source = try text(of: "Sources/ingot/Serve/Settings.swift")
    let settings = Set(try documented().values.map(\.setting)).subtracting([""])

    #expect(!settings.isEmpty)
    for setting in settings {
      #expect(source.contains("\"\(setting)\"") || source.contains("  case \(setting)\n"))
    }
  }
}
