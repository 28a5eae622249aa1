// Forms with the parts "ids" and "embeddings".

import Testing

@testable import IngestAPI
@testable import ShardStore

@Suite struct MultipartBodiesTests {
  private func embeddings() throws -> [UInt8] { try BodyFixture(golden: "version-1.npy").bytes }

  private func form(ids: String, type: String?) throws -> BodyFixture {
    BodyFixture(parts: [("ids", type, Array(ids.utf8)), ("embeddings", nil, try embeddings())])
  }

  @Test(arguments: [
    ("a\ngröße\n鳥🦜\n", "text/plain; charset=utf-8"), ("a\r\ngröße\r\n鳥🦜", nil),
    ("\u{FEFF}a\ngröße\n鳥🦜", "text/plain"),
    (#"["a","größe","鳥🦜"]"#, "application/json"), (#"["a","größe","鳥🦜"]"#, nil),
  ])
  func takesIDsAsTextOrJSON(ids: String, type: String?) throws {
    let batch = try form(ids: ids, type: type).decode(as: formBoundary)

    #expect(batch.idStrings == goldenIDs)
    #expect(batch.floats == goldenRows)
  }

  @Test func takesArraysAndUsesThemInPlace() throws {
    let ids = try BodyFixture(golden: "version-2.npy").bytes
    let wrong = BodyFixture(
      parts: [("ids", "application/octet-stream", ids), ("embeddings", nil, try embeddings())])
    #expect(wrong.error(as: formBoundary)?.code == "wrong-rank")

    let body = HeapBodyMemory(try form(ids: "1\n2\n3", type: nil).bytes)
    let batch = try BodyDecoder(
      expectation: BodyExpectation(dimension: 4, dtype: .float32), memory: NoMemory()
    ).batch(from: body, format: formBoundary)

    let start = try #require(batch.rows.baseAddress)
    let bodyStart = try #require(body.bytes.baseAddress)
    #expect(start > bodyStart && start < bodyStart + body.bytes.count)
  }

  @Test func readsQuotedNamesAndIgnoresOtherParts() throws {
    let body = try form(ids: "1\n2\n3", type: nil)
      .replacing("name=\"ids\"", with: "filename=\"a;\\\"b\"; name=ids")
    let more = BodyFixture(
      Array("--b0\r\ncontent-disposition:form-data;name=note\r\n\r\n\r\n".utf8) + body.bytes)

    #expect(try more.decode(as: formBoundary).idStrings == ["1", "2", "3"])
  }

  @Test(arguments: [
    ("--b0--\r\n", "--b0--\r\nx", "broken-multipart"),
    ("--b0\r\n", "x--b0\r\n", "broken-multipart"),
    ("--b0\r\n", "--b0\n", "broken-multipart"), ("form-data;", "attachment;", "broken-multipart"),
    ("name=\"ids\"", "name=\"ids", "broken-multipart"),
    ("name=\"ids\"", "name=\"ids\"; name=x", "broken-multipart"),
    ("name=\"ids\"", "name=\"embeddings\"", "duplicate-member"),
    ("name=\"ids\"", "name=\"id\"", "missing-member"),
    ("name=\"embeddings\"", "name=\"rows\"", "missing-member"),
    ("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n", "broken-multipart"),
    ("\r\n\r\n", "\r\nbad line\r\n\r\n", "broken-multipart"),
    ("\r\n\r\n", "\r\n folded\r\n\r\n", "broken-multipart"),
    ("1\n2\n3", "1\n\n3", "empty-id"), ("1\n2\n3", "1\n2", "id-count-mismatch"),
    ("1\n2\n3", "1\n2\n3\n4\n5\n6", "id-count-mismatch"), ("1\n2\n3", "1\n2\n2", "duplicate-id"),
    ("1\n2\n3", "[1,2", "bad-json"), ("1\n2\n3", "[1,2]]", "bad-json"),
  ])
  func refusesBrokenForms(text: String, other: String, code: String) throws {
    let body = try form(ids: "1\n2\n3", type: nil).replacing(text, with: other)

    #expect(body.error(as: formBoundary)?.code == code)
  }

  @Test func limitsPartsAndHeaders() throws {
    let parts = (0..<17).map { BodyFixture.Part(name: "p\($0)", type: nil, content: []) }
    let long = try form(ids: "1", type: "text/plain; x=\(String(repeating: "y", count: 9000))")

    #expect(BodyFixture(parts: parts).error(as: formBoundary)?.code == "too-many-members")
    #expect(long.error(as: formBoundary)?.code == "broken-multipart")
  }
}
