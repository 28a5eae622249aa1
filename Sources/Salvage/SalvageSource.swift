// The broken file, opened read-only: layout and extent at once, rows by SalvageReader.swift.

package import SystemIO

/// A file that is read and never written to.
package final class SalvageSource: Sendable {
  package let path: String
  package let layout: SalvageLayout
  package let extent: SalvageExtent
  let file: any DiskFile
  /// Zeros count as rows.
  let keepsZeros: Bool

  private static let scanByteCount = 1 << 20
  private static let usualHeadByteCount = 128

  /// Opens a file, reads its header, and searches the end of what is not zero.
  ///
  /// - Parameters:
  ///   - path: A regular file; a symbolic link is refused, so the caller follows it first.
  ///   - keepsZeros: Rows of zeros are vectors, and not what a lost write looks like.
  package init(
    _ path: String, hints: SalvageHints, keepsZeros: Bool, disk: any Disk = RealDisk()
  ) throws(SalvageRefused) {
    let file: any DiskFile
    let head: [UInt8]
    let byteCount: Int
    do throws(DiskError) {
      file = try disk.openFile(path, for: .read)
      byteCount = try file.byteCount()
      head = try Self.head(of: file, fileByteCount: byteCount)
    } catch {
      throw .disk(error)
    }
    layout = try SalvageLayout(head: head, fileByteCount: byteCount, hints: hints)
    var end: Int?
    if !keepsZeros {
      let data = layout.dataOffset..<(layout.dataOffset + layout.dataByteCount)
      let pool = RowBufferPool(bufferCount: 1, byteCount: Self.scanByteCount)
      end = file.nonZeroEnd(in: data, buffer: pool.take()) - layout.dataOffset
    }
    extent = SalvageExtent(layout, nonZeroByteCount: end)
    self.path = path
    self.file = file
    self.keepsZeros = keepsZeros
  }

  /// As much as a header can take, or less when only the rows behind it cannot be read.
  private static func head(
    of file: any DiskFile, fileByteCount: Int
  ) throws(DiskError) -> [UInt8] {
    for byteCount in [SalvageLayout.headByteCountMax, 4096, 512] {
      if let head = try? file.read(offset: 0, byteCount: min(fileByteCount, byteCount)) {
        return head
      }
    }
    return try file.read(offset: 0, byteCount: min(fileByteCount, usualHeadByteCount))
  }
}
