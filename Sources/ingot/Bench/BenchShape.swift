// What the benchmark sends: rows per batch, numbers per row, and the format they travel in.

internal import ArgumentParser

/// The formats that `ingot bench` sends.
enum BenchFormat: String, CaseIterable, ExpressibleByArgument, Sendable {
  case npz, npy, json, ndjson

  var mediaType: String {
    switch self {
    case .npz: "application/x-npz"
    case .npy: "application/x-npy"
    case .json: "application/json"
    case .ndjson: "application/x-ndjson"
    }
  }

  var isText: Bool { self == .json || self == .ndjson }
}

/// One kind of batch.
struct BenchShape: Sendable {
  var rowCount: Int
  var dimension: Int
  var format: BenchFormat

  /// Batches are float32.
  var rowByteCount: Int { dimension * 4 }
  /// Bytes of the rows, whatever the body around them takes: what all figures in MB/s count.
  var payloadByteCount: Int { rowCount * rowByteCount }

  /// The same rows in batches of about `byteCount`, for filling a store quickly.
  func filling(batchByteCount byteCount: Int) -> BenchShape {
    let rowCountMax = max(1, byteCount / rowByteCount)
    return BenchShape(rowCount: max(rowCount, rowCountMax), dimension: dimension, format: .npz)
  }
}
