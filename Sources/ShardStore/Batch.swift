// What is committed, checked, on its way from the body decoders (IngestAPI) to the shard writer (ShardWriter.swift).

package import SystemIO

/// Rows and ids of one request, all checked: right shape, right dtype, only finite numbers, no id twice.
/// Or ids alone, which are to be deleted.
@safe
package final class Batch: @unchecked Sendable {
  package let dimension: Int
  package let dtype: Dtype
  package let ids: IDList
  /// rowCount × dimension numbers, little-endian, row by row. Alive as long as this object is.
  package let rows: UnsafeRawBufferPointer
  /// CRC32C of `rows`.
  package let rowsCRC32C: UInt32
  /// XXH3-128 of ids and rows: two batches with equal digests hold the same content.
  package let contentDigest: Digest128
  /// SHA-256 of the request body, when the client sent one and it was right; 32 bytes.
  package let bodySHA256: [UInt8]?
  /// Keeps the memory behind `rows` alive.
  private let owner: AnyObject?

  /// The ids are to be deleted.
  package let isDeletion: Bool

  /// None in a deletion.
  package var rowCount: Int { isDeletion ? 0 : ids.count }

  /// What the batch takes on disk: rows and ids.
  package var byteCount: Int { rowCount * dimension * dtype.byteCount + ids.bytes.count }

  /// - Parameters:
  ///   - rows: exactly ids.count × dimension × dtype.byteCount bytes, never changed from here on.
  ///   - owner: what frees the memory behind `rows` when it goes away.
  package init(
    ids: IDList, dimension: Int, dtype: Dtype, rows: UnsafeRawBufferPointer,
    bodySHA256: [UInt8]?, owner: AnyObject
  ) {
    precondition(rows.count == ids.count * dimension * dtype.byteCount)
    self.ids = ids
    self.dimension = dimension
    self.dtype = dtype
    unsafe self.rows = rows
    self.bodySHA256 = bodySHA256
    self.owner = owner
    isDeletion = false
    self.rowsCRC32C = CRC32C.of(rows)
    self.contentDigest = unsafe ids.bytes.withUnsafeBytes { XXH3.hash128($0, rows) }
  }
  /// The deletion of ids from a collection of this shape.
  package init(deletionOf ids: IDList, dimension: Int, dtype: Dtype) {
    self.ids = ids
    self.dimension = dimension
    self.dtype = dtype
    unsafe rows = UnsafeRawBufferPointer(start: nil, count: 0)
    bodySHA256 = nil
    owner = nil
    isDeletion = true
    rowsCRC32C = 0
    contentDigest = unsafe ids.bytes.withUnsafeBytes {
      unsafe XXH3.hash128($0, UnsafeRawBufferPointer(start: nil, count: 0))
    }
  }
}
