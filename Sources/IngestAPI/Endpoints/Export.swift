// GET …/export: all live rows as one file, streamed, with the file's checksum behind it.

internal import Foundation
internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore
internal import Synchronization

extension IngestAPI {
  func export(_ call: Call) -> (any BodyReceiver)? {
    withReceiver(call) { [self] collection throws(RequestRefused) in
      let name = call.head.query.first("format") ?? ExportFormat.npy.rawValue
      guard let format = ExportFormat(rawValue: name) else {
        let known = ExportFormat.allCases.map(\.rawValue).joined(separator: ", ")
        throw RequestRefused(
          .badParameter("format is '\(name.prefix(20))', expected one of \(known)"))
      }
      // Which rows are live is found by a pass over all ids.
      workers.run {
        let stream = ExportStream(collection, format: format)
        var fields = HTTPFields([
          ("Content-Type", format.mediaType),
          (
            "Content-Disposition",
            "attachment; filename=\"\(collection.name).\(format == .ids ? "txt" : name)\""
          ),
          ("Trailer", "Content-Digest"),
          ("X-Ingot-Rows", "\(stream.rowCount)"),
          ("X-Ingot-Damaged-Rows", "\(stream.damagedRowCount)"),
          ("X-Ingot-Unusable-Shards", "\(collection.unusableShards.count)"),
          ("X-Ingot-Sequence", "\(stream.sequence)"),
        ])
        if let byteCount = stream.byteCount { fields.set("X-Ingot-Bytes", "\(byteCount)") }
        call.responder.send(
          Response(status: 200, fields: fields, body: .producer(ExportProducer(stream))))
      }
      return nil
    }
  }
}

/// Makes pieces of the file while they are sent.
private final class ExportProducer: BodyProducer {
  let byteCount: Int? = nil
  private let stream: Mutex<ExportStream>

  init(_ stream: consuming sending ExportStream) { self.stream = Mutex(stream) }

  func next(into output: inout [UInt8]) throws -> Bool {
    try stream.withLock { try $0.next(into: &output) }
  }

  /// Source: RFC 9530 section 2 and its registry of hash algorithms: crc32c, most significant byte first.
  var trailers: [(name: String, value: String)] {
    let crc32c = stream.withLock { $0.crc32c }
    let bytes = (0..<4).map { UInt8(truncatingIfNeeded: crc32c >> (24 - 8 * UInt32($0))) }
    return [("Content-Digest", "crc32c=:\(Data(bytes).base64EncodedString()):")]
  }
}
