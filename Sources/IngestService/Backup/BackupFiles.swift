// Brings one file of a store into its copy: by reflink, hard link or copy, whichever works first.

internal import ShardStore
internal import Synchronization
internal import SystemIO

/// The ways that this pair of file systems allows; a way that failed once is not tried again.
final class BackupFiles {
  let disk = RealDisk()
  private var canClone = true
  private var canLink: Bool
  private let isCancelled: () -> Bool
  /// Told of bytes that were written or linked.
  let progress: (_ byteCount: Int) -> Void

  private static let pieceByteCount = 4 << 20

  init(
    mayLink: Bool, isCancelled: @escaping () -> Bool, progress: @escaping (Int) -> Void
  ) {
    canLink = mayLink
    self.isCancelled = isCancelled
    self.progress = progress
  }

  /// Copies a file that does not change any more.
  ///
  /// - Parameter mayLink: The two may be one file.
  func transfer(
    _ path: String, to newPath: String, mayLink: Bool
  ) throws(BackupFailure) -> (way: BackupSummary.Way, byteCount: Int) {
    try stopIfCancelled()
    let (way, byteCount) = try failing { () throws(DiskError) in
      let byteCount = try disk.openFile(path, for: .read).byteCount()
      if try clone(path, to: newPath) { return (BackupSummary.Way.cloned, byteCount) }
      if mayLink, canLink {
        canLink = try disk.link(path, to: newPath)
        if canLink { return (.linked, byteCount) }
      }
      return (.copied, byteCount)
    }
    if way == .copied {
      let found = try copy(path, to: newPath, range: 0..<byteCount)
      try failing { () throws(DiskError) in try found.sync() }
    } else {
      try failing { () throws(DiskError) in try disk.openFile(newPath, for: .read).sync() }
      progress(byteCount)
    }
    return (way, byteCount)
  }

  /// Copies the beginning of a file that others may write to behind it.
  ///
  /// - Parameter head: What stands at the start of the copy instead of the file's own bytes.
  func transfer(
    startOf path: String, byteCount: Int, head: [UInt8], to newPath: String
  ) throws(BackupFailure) -> BackupSummary.Way {
    try stopIfCancelled()
    let isCloned = try failing { () throws(DiskError) in try clone(path, to: newPath) }
    let file =
      isCloned
      ? try failing { () throws(DiskError) in try disk.openFile(newPath, for: .readWrite) }
      : try copy(path, to: newPath, range: head.count..<max(head.count, byteCount))
    try failing { () throws(DiskError) in
      if try file.byteCount() > byteCount { try file.truncate(toByteCount: byteCount) }
      try file.write(head, at: 0)
      try file.sync()
    }
    if isCloned { progress(byteCount) }
    return isCloned ? .cloned : .copied
  }

  private func clone(_ path: String, to newPath: String) throws(DiskError) -> Bool {
    guard canClone else { return false }
    canClone = try disk.clone(path, to: newPath)
    return canClone
  }

  /// Ends early when the source does.
  private func copy(
    _ path: String, to newPath: String, range: Range<Int>
  ) throws(BackupFailure) -> any DiskFile {
    let (source, target) = try failing { () throws(DiskError) in
      (try disk.openFile(path, for: .read), try disk.createFile(newPath))
    }
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Self.pieceByteCount, alignment: 4096)
    defer { unsafe memory.deallocate() }
    var offset = range.lowerBound
    while offset < range.upperBound {
      try stopIfCancelled()
      let wanted = min(Self.pieceByteCount, range.upperBound - offset)
      let count = try failing { () throws(DiskError) in
        let count = try unsafe source.read(
          into: UnsafeMutableRawBufferPointer(rebasing: memory[..<wanted]), at: offset)
        try unsafe target.write(UnsafeRawBufferPointer(rebasing: memory[..<count]), at: offset)
        target.startWriteback(offset: offset, byteCount: count)
        return count
      }
      offset += count
      progress(count)
      if count < wanted { break }
    }
    return target
  }

  private func stopIfCancelled() throws(BackupFailure) {
    if isCancelled() { throw .cancelled }
  }

  private func failing<Result>(
    _ body: () throws(DiskError) -> Result
  ) throws(BackupFailure) -> Result {
    do throws(DiskError) { return try body() } catch { throw .disk(error) }
  }
}

/// What ends the copying of a file.
enum BackupFailure: Error {
  case disk(DiskError)
  case cancelled
}
