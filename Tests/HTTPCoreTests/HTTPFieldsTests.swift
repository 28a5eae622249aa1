// Header fields and percent-encoding.

import HTTPCore
import Testing

@Suite struct HTTPFieldsTests {
  private let fields = HTTPFields([("A", "1"), ("b", "2, x ,"), ("a", "3")])

  @Test func findsNamesWithoutRegardToCase() {
    #expect(fields.first("a") == "1")
    #expect(fields.first("B") == "2, x ,")
    #expect(fields.first("c") == nil)
  }

  @Test func keepsDuplicatesInOrder() {
    #expect(fields.all("A") == ["1", "3"])
    #expect(fields.count == 3)
  }

  @Test func splitsLists() {
    #expect(fields.list("b") == ["2", "x", ""])
  }

  @Test func setsOneInsteadOfMany() {
    var changed = fields
    changed.set("A", "4")

    #expect(changed.all("a") == ["4"])
  }
}

@Suite struct PercentCodingTests {
  @Test(arguments: [
    ("a b/c", "a%20b%2Fc"), ("é", "%C3%A9"), ("-._~09AZaz", "-._~09AZaz"), ("", ""),
  ])
  func encodesAllButUnreserved(_ text: String, encoded: String) {
    #expect(PercentCoding.encode(text) == encoded)
    #expect(PercentCoding.decode(Array(encoded.utf8)) == text)
  }

  @Test func readsAPlusAsSpaceInQueriesOnly() {
    #expect(PercentCoding.decode(Array("a+b".utf8)) == "a+b")
    #expect(PercentCoding.decode(Array("a+b".utf8), plusIsSpace: true) == "a b")
  }

  @Test(arguments: ["%", "%1", "%g0", "%00", "%C3", "\u{0}"]) func refuses(_ text: String) {
    #expect(PercentCoding.decode(Array(text.utf8)) == nil)
  }
}
