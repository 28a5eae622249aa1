// The files that a collection is exported as: what stands before the rows, and how numbers are written.

internal import Foundation
internal import ShardStore

/// A format of one file with all live rows.
package enum ExportFormat: String, CaseIterable, Sendable {
  /// `numpy.save`: shape (rows, dimension), the collection's dtype.
  case npy
  /// `numpy.savez`: `ids` and `embeddings`.
  case npz
  /// Big ANN Benchmarks: rows and dimension as 32-bit integers, then float32.
  case fbin
  /// Nothing but float32.
  case f32
  /// One tensor `embeddings`.
  case safetensors
  /// The ids, a line each, in the order of the rows of the others.
  case ids

  package var mediaType: String {
    switch self {
    case .npy: "application/x-npy"
    case .npz: "application/x-npz"
    case .ids: "text/plain; charset=utf-8"
    case .fbin, .f32, .safetensors: "application/octet-stream"
    }
  }

  /// float16 becomes float32 in formats that know nothing else.
  var widensToFloat32: Bool { self == .fbin || self == .f32 }

  /// What stands before the rows.
  func header(rowCount: Int, dimension: Int, dtype: Dtype) -> [UInt8] {
    switch self {
    case .npy, .npz: NumPyHeader.canonical(rowCount: rowCount, dimension: dimension, dtype: dtype)
    case .fbin: Self.little(rowCount, 4) + Self.little(dimension, 4)
    case .safetensors: Self.safetensorsHeader(rowCount, dimension, dtype)
    case .f32, .ids: []
    }
  }

  /// Source: huggingface/safetensors, "Format": 8 bytes with the length of the JSON, padded with spaces so that the
  /// data is aligned.
  private static func safetensorsHeader(
    _ rowCount: Int, _ dimension: Int, _ dtype: Dtype
  ) -> [UInt8] {
    let byteCount = rowCount * dimension * dtype.byteCount
    let name = dtype == .float32 ? "F32" : "F16"
    var text = Array(
      #"{"embeddings":{"dtype":"\#(name)","shape":[\#(rowCount),\#(dimension)],"#.utf8)
    text += Array(#""data_offsets":[0,\#(byteCount)]}}"#.utf8)
    while text.count % 8 != 0 { text.append(UInt8(ascii: " ")) }
    return little(text.count, 8) + text
  }

  static func little(_ value: Int, _ byteCount: Int) -> [UInt8] {
    (0..<byteCount).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
}
