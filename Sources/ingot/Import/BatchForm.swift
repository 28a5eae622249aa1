// A batch as the body of a request: a form with the parts "ids" and "embeddings". Its decoder:
// IngestAPI/Bodies/BodyDecoder+Multipart.swift.

import IngestAPI
import ShardStore
import SystemIO

struct BatchForm: Sendable {
  /// 128 random bits, which stand in no batch.
  private let boundary =
    "ingot-" + (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 16) }.joined()

  /// Rows that stay where they are.
  private final class Rows: BodyMemory {
    private let batch: Batch
    var bytes: UnsafeRawBufferPointer { unsafe batch.rows }
    init(_ batch: Batch) { self.batch = batch }
  }

  /// A request that stores the batch, with the digest of its body.
  func request(_ batch: Batch, path: String) -> ClientRequest {
    let start = self.start(batch)
    let end = Array("\r\n--\(boundary)--\r\n".utf8)
    var digest = CRC32C.of(start)
    digest = unsafe CRC32C.of(batch.rows, continuing: digest)
    digest = CRC32C.of(end, continuing: digest)
    var request = ClientRequest("PUT", path)
    request.fields = [
      ("Content-Type", "multipart/form-data; boundary=\(boundary)"),
      ("Content-Digest", "crc32c=:\(digest.digestText):"),
    ]
    request.body = .pieces([HeapBodyMemory(start), Rows(batch), HeapBodyMemory(end)])
    return request
  }

  /// Everything before the rows.
  private func start(_ batch: Batch) -> [UInt8] {
    var bytes = Array(
      ("--\(boundary)\r\nContent-Disposition: form-data; name=\"ids\"\r\n"
        + "Content-Type: application/json\r\n\r\n[").utf8)
    for row in 0..<batch.rowCount {
      if row > 0 { bytes.append(UInt8(ascii: ",")) }
      Self.append(batch.ids[row], to: &bytes)
    }
    bytes += Array(
      ("]\r\n--\(boundary)\r\nContent-Disposition: form-data; name=\"embeddings\"\r\n"
        + "Content-Type: application/x-npy\r\n\r\n").utf8)
    bytes += NumPyHeader.canonical(
      rowCount: batch.rowCount, dimension: batch.dimension, dtype: batch.dtype)
    return bytes
  }

  /// A JSON string. Source: RFC 8259 section 7.
  private static func append(_ id: ArraySlice<UInt8>, to bytes: inout [UInt8]) {
    let digits = Array("0123456789abcdef".utf8)
    bytes.append(UInt8(ascii: "\""))
    for byte in id {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case 0..<0x20:
        bytes += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}
