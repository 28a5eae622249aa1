// docs/limits.md says what the configuration is.

import Foundation
import HTTPServer
import Testing

@Suite struct LimitsDocumentTests {
  /// Name and default of every row of the first table.
  private func documented() throws -> [String: String] {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../docs/limits.md")
    let text = try String(contentsOf: file, encoding: .utf8)
    var rows: [String: String] = [:]
    for line in text.split(separator: "\n") where line.hasPrefix("| `") {
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      rows[cells[0].replacing("`", with: "")] = cells[1]
    }
    return rows
  }

  @Test func givesEveryDefaultAsItIs() throws {
    let configuration = HTTPServerConfiguration()
    let rows = try documented()
    var names: Set<String> = []

    func check(_ value: Any, named name: String) {
      names.insert(name)
      let number = rows[name].flatMap { $0.split(separator: " ").first }.map(String.init)
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
}
