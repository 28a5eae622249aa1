// The table of all body errors: status and code of each, which clients rely on.

import Testing

@testable import IngestAPI
@testable import ShardStore

@Suite struct BodyErrorBodiesTests {
  private static let rows: Offenders = {
    var rows = Offenders()
    rows.add(index: 3, id: "x")
    return rows
  }()
  private static let place = JSONPlace(line: 2, offset: 5, row: 1)

  static let table: [(BodyError, Int, String)] = [
    (.unsupportedMediaType(found: "text/html"), 415, "unsupported-media-type"),
    (.missingBoundary, 400, "missing-boundary"),
    (.badDigestHeader(reason: "x"), 400, "bad-digest-header"),
    (.digestMismatch(algorithm: "a", expected: "b", found: "c"), 400, "digest-mismatch"),
    (.badIDsHeader(reason: "x"), 400, "bad-ids-header"),
    (.missingIDs, 400, "missing-ids"), (.unexpectedIDs, 400, "unexpected-ids"),
    (.brokenZip(reason: "x"), 400, "broken-zip"),
    (.unsupportedZip(reason: "x"), 400, "unsupported-zip"),
    (.memberChecksum(member: "m", expected: 1, found: 2), 400, "member-checksum"),
    (.brokenMultipart(reason: "x"), 400, "broken-multipart"),
    (.tooManyMembers(found: 2, max: 1), 413, "too-many-members"),
    (.duplicateMember(name: "m"), 400, "duplicate-member"),
    (.missingMember(name: "m", found: []), 400, "missing-member"),
    (.brokenNumPy(member: "m", .notNumPy), 400, "broken-npy"),
    (.truncatedMember(member: "m", expected: 2, found: 1), 400, "truncated-member"),
    (.trailingBytes(member: "m", expected: 1, found: 2), 400, "trailing-bytes"),
    (.badJSON(reason: "x", place), 400, "bad-json"),
    (.jsonTooDeep(max: 64, place), 400, "json-too-deep"),
    (.badJSONShape(reason: "x", place), 400, "bad-json-shape"),
    (.duplicateKey(key: "k", place), 400, "duplicate-key"),
    (.badBase64(place), 400, "bad-base64"), (.badRowIndex(reason: "x"), 400, "bad-row-index"),
    (.tooLargeDecoded(needed: 2, max: 1), 413, "body-too-large-decoded"),
    (.tooManyRows(found: 2, max: 1), 413, "too-many-rows"),
    (.inFlightFull(needed: 1), 429, "in-flight-full"),
    (.objectDtype(member: "m"), 422, "object-dtype"),
    (.structuredDtype(member: "m"), 422, "structured-dtype"),
    (.wrongDtype(member: "m", found: "<f8", expected: nil), 422, "wrong-dtype"),
    (.wrongByteOrder(member: "m", found: ">f4"), 422, "wrong-byte-order"),
    (.wrongIDType(found: "x"), 422, "wrong-id-type"),
    (.noIntegerIDs(dtype: "x"), 422, "wrong-id-type"),
    (.fortranOrder(member: "m"), 422, "fortran-order"),
    (.wrongRank(member: "m", found: [3], expected: 2), 422, "wrong-rank"),
    (.zeroRows, 422, "zero-rows"), (.zeroDimension, 422, "zero-dimension"),
    (.dimensionTooLarge(found: 2, max: 1), 422, "dimension-too-large"),
    (.wrongDimension(found: 2, expected: 1, row: nil, nil), 422, "wrong-dimension"),
    (.nonFinite(rows), 422, "non-finite"), (.emptyID(rows), 422, "empty-id"),
    (.idTooLong(rows), 422, "id-too-long"), (.idNotUTF8(rows), 422, "id-not-utf8"),
    (.duplicateID(rows), 422, "duplicate-id"),
    (.idListTooLong(byteCountMax: 1), 413, "id-list-too-long"),
    (.idCountMismatch(idCount: 1, rowCount: 2), 422, "id-count-mismatch"),
  ]

  @Test func keepsStatusesAndCodes() {
    for (error, status, code) in Self.table {
      #expect(error.status == status)
      #expect(error.code == code)
      #expect(!error.detail.isEmpty && !error.detail.contains("\n"))
    }
    #expect(Set(Self.table.map(\.2)).count == 44)
  }

  @Test func listsTheFirstHundredOffendersAndCountsAll() {
    var rows = Offenders()
    for index in 0..<250 { rows.add(index: index, id: "\(index)") }
    let error = BodyError.nonFinite(rows)

    #expect(error.offenders.count == 100)
    #expect(error.offenderCount == 250)
    #expect(error.detail.hasPrefix("250 rows, first row 0 (id 0), have NaN"))
  }
}

@Suite struct BodyFormatBodiesTests {
  @Test(arguments: [
    ("application/x-npz", BodyFormat.npz), ("Application/X-NPY", .npy),
    ("application/json; charset=utf-8", .json), ("application/x-ndjson;", .ndjson),
    ("multipart/form-data; boundary=b0", formBoundary),
    ("multipart/form-data; charset=utf-8; Boundary=\"b0\"", formBoundary),
  ])
  func readsContentTypes(value: String, format: BodyFormat) throws {
    #expect(try BodyFormat(contentType: value) == format)
  }

  @Test(arguments: [
    ("", "unsupported-media-type"), ("application/octet-stream", "unsupported-media-type"),
    ("application/jsonx", "unsupported-media-type"),
    ("application/json x", "unsupported-media-type"),
    ("application/json; a=1; a=2", "unsupported-media-type"),
    ("multipart/form-data", "missing-boundary"),
    ("multipart/form-data; boundary=\"\"", "missing-boundary"),
    ("multipart/form-data; boundary=\"a\u{7f}\"", "unsupported-media-type"),
    ("multipart/form-data; boundary=\(String(repeating: "b", count: 71))", "missing-boundary"),
  ])
  func refusesOthers(value: String, code: String) {
    #expect { try BodyFormat(contentType: value) } throws: { ($0 as? BodyError)?.code == code }
  }
}

@Suite struct DigestBodiesTests {
  private let body = HeapBodyMemory(Array("123456789".utf8))
  private let sha256 = "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="
  private let crc32c = "4waSgw=="

  @Test func acceptsTheRightDigests() throws {
    let digest = try ContentDigest(
      headerValue: "sha-256=:\(sha256):, crc32c=:\(crc32c):,md5=:AA==:")

    let kept = try digest.verify(body)

    #expect(kept?.count == 32)
    #expect(try ContentDigest(headerValue: "crc32c=:\(crc32c):").verify(body) == nil)
  }

  @Test func refusesAnotherBody() throws {
    for header in ["sha-256=:\(sha256):", "crc32c=:\(crc32c):"] {
      let digest = try ContentDigest(headerValue: header)
      #expect { try digest.verify(HeapBodyMemory([1])) } throws: {
        ($0 as? BodyError)?.code == "digest-mismatch"
      }
    }
  }

  @Test(arguments: [
    "", "sha-256", "sha-256=abc", "sha-256=:abc:", "sha-256=:AAAA:", "=:AAAA:", "a=:AB==:",
    "crc32c=:4waSgw==:,crc32c=:4waSgw==:", "crc32c=:4waSgw==:,", "SHA-256=:AAAA:", "a=:A===:",
  ])
  func refusesMalformedHeaders(value: String) {
    #expect { try ContentDigest(headerValue: value) } throws: {
      ($0 as? BodyError)?.code == "bad-digest-header"
    }
  }
}

@Suite struct FinitenessBodiesTests {
  @Test func findsABadNumberAtEveryPlace() {
    for count in 1...130 {
      var numbers = [Float](repeating: .greatestFiniteMagnitude, count: count)
      #expect(numbers.withUnsafeBytes { Finiteness.holds(for: $0, dtype: .float32) })
      for place in 0..<count {
        for bad in [Float.nan, -.infinity] {
          numbers[place] = bad
          #expect(!numbers.withUnsafeBytes { Finiteness.holds(for: $0, dtype: .float32) })
        }
        numbers[place] = -.leastNonzeroMagnitude
      }
    }
  }

  @Test func judgesEveryHalf() {
    for pattern in UInt16.min ... .max {
      let half = [pattern]
      let holds = half.withUnsafeBytes { Finiteness.holds(for: $0, dtype: .float16) }
      if holds != Float16(bitPattern: pattern).isFinite { Issue.record("\(pattern)") }
    }
  }
}
