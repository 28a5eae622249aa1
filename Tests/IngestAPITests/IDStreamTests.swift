// Ids that come in pieces: wherever they are cut they are the same, and no bytes at all stop the program.

import TestContent
import Testing

@testable import IngestAPI
@testable import ShardStore

@Suite struct IDStreamTests {
  struct Form: Sendable, CustomStringConvertible {
    let type: String?
    /// Of an object in which the ids are, instead of a type.
    var member: String?
    let body: [UInt8]
    let ids: [String]
    var description: String { member ?? type ?? "no type" }
  }

  private static let ids = ["a", "ü/ß", "-7", "1000", "x\"y\\z", "  blanks ", "😀", "a"]

  static let forms: [Form] = [
    Form(type: nil, body: Array(ids.map { $0 + "\n" }.joined().utf8), ids: ids),
    Form(
      type: "text/plain", body: Array("\u{FEFF}a\n\u{FEFF}b\n".utf8), ids: ["a", "\u{FEFF}b"]),
    Form(type: "application/x-ndjson", body: Array("\u{FEFF}\"a\"\n7\n".utf8), ids: ["a", "7"]),
    Form(type: "text/plain", body: Array(("\n" + ids.joined(separator: "\r\n")).utf8), ids: ids),
    Form(
      type: "application/x-ndjson",
      body: Array(
        """
        "a"\r
        {"id":"\\u00fc/ß"}

        -7
        {"x":[1,{}],"id":1000}
        "x\\"y\\\\z"
        "  blanks "
        "\\ud83d\\ude00"
        "a"
        """.utf8), ids: ids),
    Form(
      type: "application/json; charset=utf-8",
      body: Array(
        """
         [ "a","\\u00fc/ß" , -7,1000
        ,"x\\"y\\\\z",\t"  blanks ","😀", "a" ]\r\n
        """.utf8), ids: ids),
    Form(
      type: "application/json",
      body: Array(
        """
        [ { "id" : "a" } , {"x": ["]", {"}": "\\"]"}], "id": "\\u00fc/ß"}
        ,{"id":-7}, 1000,{ "id":"x\\"y\\\\z"},{"id": "  blanks "}, "😀" , {"id" : "a"}]
        """.utf8), ids: ids),
    Form(
      type: nil, member: "ids",
      body: Array(
        """
        {"ids":["a",{"id": "\\u00fc/ß"},-7 , 1000,"x\\"y\\\\z", "  blanks ","😀","a"]}
        """.utf8), ids: ids),
    Form(
      type: nil, member: "ids",
      body: Array(
        "\n{ \"\\u0069ds\" : [ \"a\" ] } ".utf8), ids: ["a"]),
    Form(
      type: "application/x-npy", body: npy("<i8", [1, -2, .max, .min, 0]),
      ids: [
        "1", "-2", "9223372036854775807", "-9223372036854775808", "0",
      ]),
  ]

  private static func npy(_ descr: String, _ values: [Int64]) -> [UInt8] {
    var text = "{'descr': '\(descr)', 'fortran_order': False, 'shape': (\(values.count),), }"
    while (10 + text.utf8.count + 1) % 64 != 0 { text += " " }
    text += "\n"
    var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(text.utf8.count), 0]
    bytes += Array(text.utf8)
    for value in values {
      for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * Int64(shift)))) }
    }
    return bytes
  }

  private func parse(_ form: Form, _ pieces: [ArraySlice<UInt8>]) throws(BodyError) -> [String] {
    var stream =
      if let member = form.member {
        IDStream(inMember: member)
      } else {
        try IDStream(contentType: form.type)
      }
    var found: [String] = []
    for piece in pieces {
      let outcome = piece.withUnsafeBytes { bytes in
        Result { () throws(BodyError) in try stream.append(bytes) }
      }
      try outcome.get()
      let taken = try stream.take()
      found += (0..<taken.count).map(taken.string)
    }
    try stream.finish()
    let taken = try stream.take()
    return found + (0..<taken.count).map(taken.string)
  }

  @Test(arguments: forms) func areTheSameWhereverTheyAreCut(form: Form) throws {
    for first in 0...form.body.count {
      let found = try parse(form, [form.body[..<first], form.body[first...]])
      #expect(found == form.ids, "cut at \(first)")
    }
    let single = form.body.indices.map { form.body[$0..<($0 + 1)] }
    #expect(try parse(form, single) == form.ids)
  }

  @Test func noMutationStopsTheProgram() {
    let seed = UInt64.random(in: .min ... .max)
    print("id streams, seed \(seed)")
    var random = SeededGenerator(seed: seed)
    var refusedCount = 0
    for number in 0..<20_000 {
      let form = Self.forms[number % Self.forms.count]
      var body = form.body
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        mutate(&body, &random)
      }
      let cut = Int.random(in: 0...body.count, using: &random)
      let found = try? parse(form, [body[..<cut], body[cut...]])
      let whole = try? parse(form, [body[...]])
      #expect(found == whole, "\(form), cut at \(cut): \(body)")
      refusedCount += whole == nil ? 1 : 0
    }
    #expect((1000..<20_000).contains(refusedCount))
  }

  private func mutate(_ body: inout [UInt8], _ random: inout SeededGenerator) {
    guard !body.isEmpty else { return }
    let place = Int.random(in: 0..<body.count, using: &random)
    let pieces = [
      "\"", "\\", "[", "]", "{", "}", ",", "\n", "\\u", "9223372036854775808", "-", "é",
    ]
    switch Int.random(in: 0..<6, using: &random) {
    case 0: body[place] = .random(in: .min ... .max, using: &random)
    case 1: body[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 2: body.removeSubrange(place..<Swift.min(body.count, place + 3))
    case 3: body.insert(contentsOf: (pieces.randomElement(using: &random) ?? "").utf8, at: place)
    case 4: body.removeLast(body.count - place)
    default: body += body[place...].prefix(40)
    }
  }

  @Test(arguments: [
    "", "{", "{}", "[]", #"["a"]"#, #"{"ids":"#, #"{"ids"}"#, #"{"ids":1}"#, #"{"ids":{"id":1}}"#,
    #"{"idz":["a"]}"#, #"{"ids":["a"],"x":1}"#, #"{"x":1,"ids":["a"]}"#, #"{"ids":["a"]"#,
    #"{"ids":["a"]}}"#, #"{"ids":["a"]]"#, #"{ids:["a"]}"#,
  ]) func anObjectWithAnythingButTheIDsIsRefused(text: String) {
    let form = Form(type: nil, member: "ids", body: Array(text.utf8), ids: [])

    #expect(throws: BodyError.self) { try parse(form, [form.body[...]]) }
  }

  @Test func countsOfANumPyHeaderThatCannotBeAreRefused() {
    for count in ["9223372036854775807", "1152921504606846976", "99999999999999999999"] {
      let header = Self.npy("<i8", [1, 2, 3])
      let text = String(decoding: header[10...].prefix(100), as: UTF8.self)
      let changed = Array(text.replacing("(3,)", with: "(\(count),)").utf8)
      let form = Form(
        type: "application/x-npy",
        body: header[..<8] + [UInt8(changed.count), 0] + changed, ids: [])
      #expect(throws: BodyError.self) { try parse(form, [form.body[...]]) }
    }
  }

  @Test func anIDWithoutAnEndIsTooLong() {
    for type in ["text/plain", "application/json", "application/x-ndjson"] {
      let body = [UInt8(ascii: "["), UInt8(ascii: "\"")] + [UInt8](repeating: 0x61, count: 20_000)
      let form = Form(
        type: type, body: type == "application/json" ? body : Array(body[1...]), ids: [])
      #expect {
        try parse(form, [form.body[...]])
      } throws: { error in
        if case .idTooLong? = error as? BodyError { true } else { false }
      }
    }
  }
}
