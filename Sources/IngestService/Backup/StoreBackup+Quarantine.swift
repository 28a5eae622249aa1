// The quarantine in a backup: damaged originals and the notes about them, all files as they are.

internal import ShardStore
internal import SystemIO

extension StoreBackup {
  private static let comparedByteCountMax = 1 << 20

  /// Copies what is new. Nothing is removed from the copy.
  func copyQuarantine(into target: BackupTarget) throws(BackupProblem) {
    let (source, copy) = (
      self.source.layout.root + "/quarantine", target.layout.root + "/quarantine"
    )
    guard (try? disk.kind(of: source)) == .directory else { return }
    do throws(BackupFailure) { try copyTree(source, to: copy) } catch {
      guard case .disk(let failure) = error else { throw .interrupted }
      guard failure.path.hasPrefix(source) else { throw .disk(failure) }
      summary.problems.append("quarantine was not wholly copied: \(failure)")
    }
  }

  private func copyTree(_ path: String, to newPath: String) throws(BackupFailure) {
    let names: [String]
    do throws(DiskError) {
      if try disk.kind(of: newPath) == nil { try disk.makeDirectory(newPath) }
      names = try disk.names(inDirectory: path)
    } catch {
      throw .disk(error)
    }
    for name in names {
      let (from, to) = (path + "/" + name, newPath + "/" + name)
      let kind: FileKind?
      do throws(DiskError) { kind = try disk.kind(of: from) } catch { throw .disk(error) }
      switch kind {
      case .directory: try copyTree(from, to: to)
      case .file: try copyFile(from, to: to)
      case .other: summary.notes.append("\(from) is no regular file; not copied")
      case nil: break
      }
    }
    do throws(DiskError) { try disk.syncDirectory(newPath) } catch { throw .disk(error) }
  }

  private func copyFile(_ path: String, to newPath: String) throws(BackupFailure) {
    var outcome = BackupOutcome()
    if let byteCount = try? sameByteCount(path, newPath) {
      outcome.add(.skipped, byteCount)
    } else {
      let temporary = newPath + ".new"
      do throws(DiskError) {
        if try disk.kind(of: temporary) != nil { try disk.removeFile(temporary) }
      } catch {
        throw .disk(error)
      }
      let (way, byteCount) = try files.transfer(path, to: temporary, mayLink: false)
      do throws(DiskError) { try disk.rename(temporary, to: newPath) } catch { throw .disk(error) }
      outcome.add(way, byteCount)
    }
    record(path, outcome)
  }

  /// How long two equal files are; nil when they differ. Of large ones only the sizes are compared: a
  /// damaged original is written once.
  private func sameByteCount(_ path: String, _ other: String) throws(DiskError) -> Int? {
    guard try disk.kind(of: other) == .file else { return nil }
    let (left, right) = (
      try disk.openFile(path, for: .read), try disk.openFile(other, for: .read)
    )
    let byteCount = try left.byteCount()
    guard try right.byteCount() == byteCount else { return nil }
    guard byteCount <= Self.comparedByteCountMax else { return byteCount }
    let isEqual =
      try left.read(offset: 0, byteCount: byteCount)
      == right.read(offset: 0, byteCount: byteCount)
    return isEqual ? byteCount : nil
  }
}
