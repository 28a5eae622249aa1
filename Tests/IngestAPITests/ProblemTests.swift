// Every error of the layers below has one status and one stable code.

import Foundation
import HTTPCore
import IngestAPI
import IngestService
import ShardStore
import Testing

@Suite struct ProblemTests {
  struct Expected: CustomTestStringConvertible {
    let error: IngestError
    let status: Int
    let code: String
    let isRetryable: Bool
    var testDescription: String { code }
  }

  @Test(arguments: [
    Expected(
      error: .diskFull(neededByteCount: 2, freeByteCount: 1, reason: "reserve"), status: 507,
      code: "disk-full", isRetryable: true),
    Expected(
      error: .inFlightLimit(byteCountMax: 3), status: 429, code: "in-flight-limit",
      isRetryable: true),
    Expected(
      error: .keyReused(batchID: "b", receipt: nil), status: 422, code: "key-reused",
      isRetryable: false),
    Expected(
      error: .shapeDiffers(expected: "a", found: "b"), status: 422, code: "wrong-dimension",
      isRetryable: false),
    Expected(
      error: .storageFailed("EIO"), status: 500, code: "storage-failed", isRetryable: true),
    Expected(
      error: .noDescriptorLeft("EMFILE"), status: 503, code: "no-descriptor", isRetryable: true),
    Expected(error: .draining, status: 503, code: "draining", isRetryable: true),
    Expected(
      error: .collectionUnknown("c"), status: 404, code: "collection-unknown", isRetryable: false),
    Expected(
      error: .collectionDiffers("c"), status: 409, code: "collection-differs", isRetryable: false),
    Expected(
      error: .collectionNameInvalid("C"), status: 400, code: "collection-name-invalid",
      isRetryable: false),
  ])
  func givesEveryIngestErrorItsStatusAndCode(_ expected: Expected) {
    let problem = Problem(expected.error)

    #expect(problem.status == expected.status)
    #expect(problem.code == expected.code)
    #expect(problem.isRetryable == expected.isRetryable)
  }

  @Test func isADocumentOfRFC9457() throws {
    let response = Problem(
      IngestError.diskFull(neededByteCount: 20, freeByteCount: 10, reason: "say \"no\"\n")
    ).response

    guard case .bytes(let body) = response.body else {
      Issue.record("a problem has a body")
      return
    }
    let document = try #require(
      try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
    #expect(response.fields.first("Content-Type") == "application/problem+json")
    #expect(response.fields.first("Retry-After") == "5")
    #expect(document["status"] as? Int == 507)
    #expect(document["title"] as? String == "Insufficient Storage")
    #expect(document["needed_bytes"] as? Int == 20)
    #expect(document["free_bytes"] as? Int == 10)
    #expect(document["reason"] as? String == "say \"no\"\n")
  }

  @Test func namesShardAndRowsOfDamage() {
    let problem = Problem(
      RowDamaged(shard: 17, rows: 3..<5, reason: "block 0 has a wrong checksum"))

    #expect(problem.status == 500)
    #expect(problem.code == "row-damaged")
    #expect(problem.detail.contains("shard 000017, rows 3..<5: block 0"))
  }
}
