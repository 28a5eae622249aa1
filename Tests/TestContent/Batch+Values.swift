// Batches from plain arrays. Used by all tests that store something.

package import ShardStore

extension Batch {
  /// A batch of float32 rows: `ids.count` × `dimension` values, row by row.
  package convenience init(_ ids: [String], dimension: Int, values: [Float]) {
    let memory = values.withUnsafeBytes { RowMemory($0) }
    self.init(
      ids: IDList(ids), dimension: dimension, dtype: .float32, rows: memory.bytes, bodySHA256: nil,
      owner: memory)
  }

  /// A batch of rows as they lie in a file.
  package convenience init(
    _ ids: [String], dimension: Int, dtype: Dtype, rows: [UInt8], bodySHA256: [UInt8]?
  ) {
    let memory = rows.withUnsafeBytes { RowMemory($0) }
    self.init(
      ids: IDList(ids), dimension: dimension, dtype: dtype, rows: memory.bytes,
      bodySHA256: bodySHA256, owner: memory)
  }
}

extension IDList {
  /// Ids that are known to be right, none twice.
  package init(_ ids: [String]) {
    var builder = IDList.Builder()
    for id in ids { try! builder.append(id) }
    self = try! builder.finish()
  }
}

/// A copy of a batch's rows, where a vector instruction would have them.
private final class RowMemory: @unchecked Sendable {
  let bytes: UnsafeRawBufferPointer

  init(_ rows: UnsafeRawBufferPointer) {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: rows.count, alignment: 64)
    memory.copyMemory(from: rows)
    bytes = UnsafeRawBufferPointer(memory)
  }

  deinit { bytes.deallocate() }
}
