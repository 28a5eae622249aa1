// The table of routes and openapi.yaml say the same.

import Foundation
import IngestAPI
import Testing

@Suite struct RouteTests {
  @Test func servesExactlyWhatTheDescriptionLists() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../openapi.yaml")
    let text = try String(contentsOf: file, encoding: .utf8)
    let methods: Set<String> = ["get", "put", "post", "delete", "patch", "head"]

    var described: Set<String> = []
    var path = ""
    for line in text.split(separator: "\n") {
      if line.hasPrefix("components:") { break }
      if line.hasPrefix("  /"), line.hasSuffix(":") { path = String(line.dropFirst(2).dropLast()) }
      let word = line.drop { $0 == " " }.dropLast()
      if line.hasPrefix("    "), !line.hasPrefix("     "), methods.contains(String(word)) {
        described.insert("\(word.uppercased()) \(path)")
      }
    }

    #expect(described.count > 15)
    #expect(Set(Route.all.map { "\($0.method) \($0.path)" }) == described)
  }
}
