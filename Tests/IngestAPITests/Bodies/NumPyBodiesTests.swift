// npy bodies with ids beside them, and the header of .npy files.

import Testing

@testable import IngestAPI
@testable import ShardStore

@Suite struct NumPyBodiesTests {
  @Test(arguments: 1...3)
  func takesEveryVersion(version: Int) throws {
    let batch = try BodyFixture(golden: "version-\(version).npy")
      .decode(as: .npy, ids: .range(first: 1000, last: 1002))

    #expect(batch.idStrings == ["1000", "1001", "1002"])
    #expect(batch.floats == goldenRows)
  }

  @Test func takesIDsFromTheHeaderOrTheQuery() throws {
    let body = try BodyFixture(golden: "version-1.npy")

    #expect(
      try body.decode(as: .npy, ids: ExternalIDs(headerValue: " 7..9 ")).idStrings
        == ["7", "8", "9"])
    #expect(
      try body.decode(as: .npy, ids: ExternalIDs(headerValue: "x, 1..2 ,ü")).idStrings
        == ["x", "1..2", "ü"])
    #expect(
      try body.decode(as: .npy, ids: ExternalIDs(firstID: "40")).idStrings == ["40", "41", "42"])
  }

  @Test(arguments: ["", "a,,b", "5..4", "1..18446744073709551616", "a,"])
  func refusesMalformedIDHeaders(value: String) {
    #expect { try ExternalIDs(headerValue: value) } throws: {
      ($0 as? BodyError)?.code == "bad-ids-header"
    }
  }

  @Test func countsIDsWithoutOverflow() throws {
    let body = try BodyFixture(golden: "version-1.npy")
    let all = ExternalIDs.range(first: 0, last: .max)

    #expect(body.error(as: .npy, ids: all)?.code == "id-count-mismatch")
    #expect(body.error(as: .npy, ids: .list(["a"]))?.code == "id-count-mismatch")
    #expect(body.error(as: .npy, ids: .from(first: .max - 1))?.code == "bad-ids-header")
    #expect(body.error(as: .npy, ids: .list(["a", "b", "a"]))?.code == "duplicate-id")
    #expect(try body.decode(as: .npy, ids: .from(first: .max - 2)).ids.count == 3)
  }

  @Test func wantsIDsInOnePlace() throws {
    #expect(try BodyFixture(golden: "version-1.npy").error(as: .npy)?.code == "missing-ids")
    #expect(
      try BodyFixture(golden: "savez.npz").error(ids: .from(first: 1))?.code == "unexpected-ids")
  }

  @Test func wantsDataAsLongAsItsShape() throws {
    let body = try BodyFixture(golden: "version-1.npy")
    let ids = ExternalIDs.from(first: 1)

    #expect(
      body.cut(to: body.bytes.count - 1).error(as: .npy, ids: ids)?.code == "truncated-member")
    #expect(BodyFixture(body.bytes + [0]).error(as: .npy, ids: ids)?.code == "trailing-bytes")
    #expect(BodyFixture("hello, this is text").error(as: .npy, ids: ids)?.code == "broken-npy")
  }

  @Test(arguments: [
    ("(3, 4), }", "(9223372036854775807, 9223372036854775807), }"),
    ("(3, 4), }", "(4611686018427387904, 4), }"), ("(3, 4), }", "(99999999999999999999, 4)}"),
    ("(3, 4), }", "(-3, 4), }"), ("(3, 4), }", "(3 4), }"), ("'<f4'", "'<f99999999999999999'"),
    ("'<f4'", "'=f4'"), ("'<f4'", "'|f4'"), ("'<f4'", "'<U99999999999999'"), ("'<f4'", "''"),
    ("False", "Maybe"), ("'shape'", "'shap'"), ("{'descr'", "{{'descr'"),
  ])
  func refusesHostileHeaders(text: String, other: String) throws {
    let body = try BodyFixture(golden: "version-1.npy")
    // Spaces behind the dictionary give way, so that its length stays.
    let difference = other.count - text.count
    var hostile = body.replacing(text, with: other)
    let end = try #require(hostile.offset(of: [0x0A]))
    if difference > 0 {
      hostile.bytes.removeSubrange((end - difference)..<end)
    } else {
      hostile.bytes.insert(contentsOf: repeatElement(0x20, count: -difference), at: end)
    }

    #expect(hostile.error(as: .npy, ids: .from(first: 1)) != nil)
  }

  @Test func refusesTooManyRows() throws {
    var limits = BodyLimits()
    limits.rowCountMax = 2
    let body = try BodyFixture(golden: "version-1.npy")

    let error = body.error(as: .npy, ids: .from(first: 1), limits: limits)
    #expect(error?.code == "too-many-rows")
    #expect(error?.status == 413)

    limits.rowCountMax = 3
    limits.dimensionMax = 3
    let wide = body.error(as: .npy, dimension: nil, ids: .from(first: 1), limits: limits)
    #expect(wide?.code == "dimension-too-large")
  }
}

@Suite struct NumPyHeaderBodiesTests {
  private func parse(_ dictionary: String) throws(NumPyHeaderError) -> NumPyHeader {
    let bytes =
      [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, UInt8(dictionary.utf8.count), 0]
      + Array(dictionary.utf8)
    return try parse(bytes)
  }

  private func parse(_ bytes: [UInt8]) throws(NumPyHeaderError) -> NumPyHeader {
    let memory = HeapBodyMemory(bytes)
    return try withExtendedLifetime(memory) { () throws(NumPyHeaderError) in
      try NumPyHeader.parse(memory.bytes)
    }
  }

  @Test func writesWhatNumPyWrites() throws {
    let golden = try BodyFixture(golden: "headers.bin").bytes
    let shapes: [(Int, Int, Dtype)] = [
      (0, 1, .float32), (3, 4, .float32), (512, 512, .float16), (999_999_999, 65_536, .float32),
      (1_000_000_000_000_000, 768, .float16),
    ]

    let written = shapes.flatMap {
      NumPyHeader.canonical(rowCount: $0.0, dimension: $0.1, dtype: $0.2)
    }

    #expect(written == golden)
    #expect(written.count == shapes.count * NumPyHeader.canonicalByteCount)
  }

  @Test func readsWhatItWrites() throws {
    let bytes = NumPyHeader.canonical(rowCount: 7, dimension: 3, dtype: .float16)
    let header = try parse(bytes)

    #expect(header.descr == "<f2")
    #expect(header.shape == [7, 3])
    #expect(!header.fortranOrder)
    #expect(header.byteCount == 128)
    #expect(header.elementCount == 21)
  }

  @Test(arguments: [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }\n",
    "{\"shape\":(3,4),\"descr\":\"<f4\",\"fortran_order\":False}",
    " { 'fortran_order' : False , 'shape' : ( 3 , 4 , ) , 'descr' : '<f4' }  \n",
  ])
  func takesAnyOrderAndSpacing(dictionary: String) throws {
    let header = try parse(dictionary)

    #expect(header.shape == [3, 4])
    #expect(header.descr == "<f4")
  }

  @Test func readsShapesOfAnyRank() throws {
    #expect(try parse("{'descr': '<f4', 'fortran_order': True, 'shape': ()}").shape == [])
    #expect(try parse("{'descr': '<f4', 'fortran_order': True, 'shape': (5,)}").shape == [5])
    #expect(try parse("{'descr': '<f4', 'fortran_order': True, 'shape': (5,)}").fortranOrder)
  }

  @Test(arguments: [
    "", "{}", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False, 'shape': (5)}",
    "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (5,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (5,), 'x': 1}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (5,)} x",
    "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (5,)}",
    "{'descr': '<f\\x34', 'fortran_order': False, 'shape': (5,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': [5]}",
    "{'descr': '<f4', 'fortran_order': 0, 'shape': (5,)}",
    "{'descr': '<f4' 'fortran_order': False, 'shape': (5,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (5,,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (5L,)}",
  ])
  func refusesEverythingElse(dictionary: String) {
    #expect(throws: NumPyHeaderError.self) { try parse(dictionary) }
  }

  @Test func refusesOtherVersionsAndLengths() {
    let start: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
    for (tail, error) in [
      ([4, 0, 0, 0], NumPyHeaderError.unsupportedVersion(major: 4, minor: 0)),
      ([1, 1, 0, 0], .unsupportedVersion(major: 1, minor: 1)),
      ([1, 0, 5, 0], .truncated(needed: 15, found: 10)),
      ([2, 0, 255, 255, 255, 255], .dictionaryTooLong(byteCount: 4_294_967_295, max: 10_000)),
      ([2, 0, 1, 0], .truncated(needed: 12, found: 10)),
    ] as [([UInt8], NumPyHeaderError)] {
      #expect(throws: error) { try parse(start + tail) }
    }
  }
}
