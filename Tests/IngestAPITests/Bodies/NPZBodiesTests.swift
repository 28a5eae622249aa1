// npz bodies: what NumPy writes is taken, and zips that could be read in two ways are not.

import Testing

@testable import IngestAPI
@testable import ShardStore

@Suite struct NPZBodiesTests {
  @Test(arguments: [
    "savez.npz", "savez-compressed.npz", "more-members.npz", "comment.npz", "zip64.npz",
    "streamed.npz", "streamed-deflated.npz",
  ])
  func takesWhatNumPyWrites(name: String) throws {
    let batch = try BodyFixture(golden: name).decode()

    #expect(batch.idStrings == goldenIDs)
    #expect(batch.floats == goldenRows)
    #expect(batch.dimension == 4)
    #expect(batch.dtype == .float32)
  }

  @Test func takesRowsInPlace() throws {
    let body = HeapBodyMemory(try BodyFixture(golden: "savez.npz").bytes)
    let expectation = BodyExpectation(dimension: 4, dtype: .float32)

    let batch = try BodyDecoder(expectation: expectation, memory: NoMemory())
      .batch(from: body, format: .npz)

    let start = try #require(batch.rows.baseAddress)
    let bodyStart = try #require(body.bytes.baseAddress)
    #expect(start > bodyStart && start < bodyStart + body.bytes.count)
  }

  @Test func keepsTheBodyAlive() throws {
    weak var memory: HeapBodyMemory?
    var batch: Batch?
    do {
      let body = HeapBodyMemory(try BodyFixture(golden: "savez.npz").bytes)
      memory = body
      batch = try BodyDecoder(
        expectation: BodyExpectation(dimension: nil, dtype: nil), memory: NoMemory()
      ).batch(from: body, format: .npz)
    }

    #expect(memory != nil)
    #expect(batch?.floats == goldenRows)
    batch = nil
    #expect(memory == nil)
  }

  @Test func takesShapeAndDtypeOfANewCollectionFromTheBatch() throws {
    let batch = try BodyFixture(golden: "float16.npz").decode(dimension: nil, dtype: nil)

    #expect(batch.dtype == .float16)
    #expect(batch.halves == goldenRows.map { Float16($0).bitPattern })
  }

  @Test(arguments: [
    ("i1", ["-128", "7", "127"]), ("i2", ["-32768", "7", "32767"]),
    ("i4", ["-2147483648", "7", "2147483647"]),
    ("i8", ["-9223372036854775808", "7", "9223372036854775807"]),
    ("u1", ["0", "7", "255"]), ("u2", ["0", "7", "65535"]), ("u4", ["0", "7", "4294967295"]),
    ("u8", ["0", "7", "18446744073709551615"]),
  ])
  func writesIntegerIDsInDecimal(type: String, ids: [String]) throws {
    #expect(try BodyFixture(golden: "ids-\(type).npz").decode().idStrings == ids)
  }

  @Test func takesIDsOfBytes() throws {
    #expect(try BodyFixture(golden: "bytes-ids.npz").decode().idStrings == ["a", "bc", "d"])
  }

  @Test(arguments: [
    ("object-dtype", 422, "object-dtype"), ("object-embeddings", 422, "object-dtype"),
    ("structured-dtype", 422, "structured-dtype"), ("fortran-order", 422, "fortran-order"),
    ("wrong-rank", 422, "wrong-rank"), ("wrong-rank-ids", 422, "wrong-rank"),
    ("zero-rows", 422, "zero-rows"), ("zero-dimension", 422, "zero-dimension"),
    ("wrong-dimension", 422, "wrong-dimension"), ("float64", 422, "wrong-dtype"),
    ("float16", 422, "wrong-dtype"), ("big-endian", 422, "wrong-byte-order"),
    ("big-endian-ids", 422, "wrong-byte-order"), ("float-ids", 422, "wrong-id-type"),
    ("non-finite", 422, "non-finite"), ("duplicate-id", 422, "duplicate-id"),
    ("empty-id", 422, "empty-id"), ("id-too-long", 422, "id-too-long"),
    ("id-not-utf8", 422, "id-not-utf8"), ("id-count-mismatch", 422, "id-count-mismatch"),
    ("missing-member", 400, "missing-member"),
  ])
  func refusesWrongArrays(name: String, status: Int, code: String) throws {
    let error = try BodyFixture(golden: "\(name).npz").error()

    #expect(error?.status == status)
    #expect(error?.code == code)
  }

  @Test func saysWhichNumPyCallHelps() throws {
    #expect(
      try BodyFixture(golden: "float64.npz").error()?.detail
        == "embeddings has dtype <f8; this collection stores <f4: send embeddings.astype('float32')"
    )
    #expect(
      try BodyFixture(golden: "fortran-order.npz").error()?.detail.contains("np.ascontiguousarray")
        == true)
    #expect(
      try BodyFixture(golden: "savez.npz").error(dtype: .float16)?.detail
        .contains("send embeddings.astype('float16')") == true)
  }

  @Test func namesRowsThatAreNotFinite() throws {
    let error = try BodyFixture(golden: "non-finite.npz").error()
    let half = try BodyFixture(golden: "non-finite-float16.npz").error(dtype: .float16)

    #expect(error?.offenders == [Offender(index: 1, id: "größe"), Offender(index: 2, id: "鳥🦜")])
    #expect(error?.offenderCount == 2)
    #expect(half == error)
  }

  @Test func namesRowsWithBadIDs() throws {
    #expect(
      try BodyFixture(golden: "duplicate-id.npz").error()?.offenders
        == [Offender(index: 2, id: "a")])
    #expect(try BodyFixture(golden: "empty-id.npz").error()?.offenders.map(\.index) == [1])
    #expect(try BodyFixture(golden: "surrogate.npz").error()?.code == "id-not-utf8")
  }
}

@Suite struct ZipBodiesTests {
  private func savez() throws -> BodyFixture { try BodyFixture(golden: "savez.npz") }

  @Test func refusesEncryption() throws {
    let entry = try #require(try savez().offsets(of: .entry).first)

    #expect(try savez().setting([1, 0], at: entry + 8).error()?.code == "unsupported-zip")
  }

  @Test func refusesOtherMethods() throws {
    let entry = try #require(try savez().offsets(of: .entry).first)

    #expect(try savez().setting([12, 0], at: entry + 10).error()?.code == "unsupported-zip")
  }

  @Test func refusesOverlappingMembers() throws {
    let error = try BodyFixture(golden: "overlapping.npz").error()

    #expect(error == .brokenZip(reason: "ids.npy overlaps another member"))
  }

  @Test func refusesOffsetsOutOfRange() throws {
    for offset: [UInt8] in [
      [0xF0, 0xFF, 0xFF, 0x7F], [0xFE, 0xFF, 0xFF, 0xFF], [255, 255, 255, 255],
    ] {
      let entry = try #require(try savez().offsets(of: .entry).first)
      #expect(try savez().setting(offset, at: entry + 42).error()?.code == "broken-zip")
    }
  }

  @Test func refusesWideOffsetsOutOfRange() throws {
    let body = try BodyFixture(golden: "zip64.npz")
    let record = try #require(body.offset(of: [0x50, 0x4B, 6, 6]))
    for field in [record + 4, record + 32, record + 40, record + 48] {
      for value in [[UInt8](repeating: 0xFF, count: 8), [0, 0, 0, 0, 0, 0, 0, 0x7F]] {
        #expect(body.setting(value, at: field).error() != nil)
      }
    }
  }

  @Test func refusesAMemberTwice() throws {
    #expect(
      try BodyFixture(golden: "duplicate-member.npz").error() == .duplicateMember(name: "ids.npy"))
  }

  @Test func countsUnknownMembers() throws {
    var limits = BodyLimits()
    limits.memberCountMax = 2

    let error = try BodyFixture(golden: "more-members.npz").error(limits: limits)

    #expect(error?.code == "too-many-members")
    #expect(error?.status == 413)
  }

  @Test func noticesADamagedRow() throws {
    let body = try savez()
    let row = try #require(body.offset(of: [0x00, 0x00, 0x80, 0xBF]))

    #expect(body.setting([1], at: row).error()?.code == "member-checksum")
  }

  @Test func refusesAZipBombBeforeInflating() throws {
    var limits = BodyLimits()
    limits.decodedByteCountMax = 1 << 16
    let body = try BodyFixture(golden: "bomb.npz")

    let error = body.error(dimension: 1024, limits: limits, memory: NoMemory())

    #expect(error?.code == "body-too-large-decoded")
    #expect(error?.status == 413)
    #expect(body.bytes.count < 4096)
  }

  @Test func stopsInflatingAtTheDeclaredLength() throws {
    let body = try BodyFixture(golden: "streamed-deflated.npz")
    for (byteCount, code) in [(UInt8(100), "broken-zip"), (UInt8(200), "broken-zip")] {
      var lie = body
      for entry in body.offsets(of: .entry) { lie = lie.setting([byteCount, 0], at: entry + 24) }
      #expect(lie.error()?.code == code)
    }
  }

  @Test func answersWhenNoMemoryIsLeft() throws {
    let error = try BodyFixture(golden: "savez-compressed.npz").error(memory: NoMemory())

    #expect(error?.code == "in-flight-full")
    #expect(error?.status == 429)
  }
}
