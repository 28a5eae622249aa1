// The catalog as a start finds it: it is used, made again from the logs (promise P7), or, when this process is kept from
// it, left as it is. Part of IngestService+Open.swift.

internal import Catalog
internal import ShardStore
internal import SystemIO

struct CatalogAtStart {
  /// Nil when none can be written; receipts are then kept in memory.
  private(set) var catalog: Catalog?
  /// Who knows what was committed before; also a catalog that can only be read.
  private(set) var reader: (any CatalogReader)?
  /// What it has seen, by collection; read once.
  private(set) var evidence: [String: CatalogEvidence] = [:]

  private let path: String

  /// Larger ones are checked by the scrub, so that a start does not take minutes.
  private static let checkedByteCountMax = 256 << 20

  private enum Found {
    case sound(Catalog, [String: CatalogEvidence])
    case damaged(String)
    /// Its bytes may be right, and it cannot be used now.
    case hindered(String)
  }

  init(_ layout: StoreLayout, report: inout RecoveryReport) {
    path = layout.catalogFile
    switch Self.find(path) {
    case .sound(let found, let known):
      catalog = found
      reader = found
      evidence = known
    case .damaged(let reason): replace(reason, &report)
    case .hindered(let reason):
      let snapshot = try? CatalogSnapshot(path: path)
      reader = snapshot
      evidence = (try? snapshot.map(Self.evidence)) ?? [:]
      report.lines.append(
        "catalog.sqlite cannot be written and is left as it is (\(reason)); receipts are kept in memory until a "
          + "start can write it")
    }
  }

  private static func find(_ path: String) -> Found {
    do {
      // A pipe would be waited for, and a link be written through (fault E3).
      let kind = try RealDisk().kind(of: path)
      if let kind, kind != .file { return .damaged("it is no regular file") }
      let isClosed = try RealDisk().kind(of: path + "-wal") == nil
      let byteCount = kind == nil ? 0 : try RealDisk().openFile(path, for: .read).byteCount()
      let isChecked = byteCount <= checkedByteCountMax
      // Looked at before it is opened for writing, which changes it: what is kept aside is what was found.
      if kind != nil, isClosed, let problem = try problem(path, isChecked: isChecked) {
        return .damaged(problem)
      }
      let catalog = try Catalog(path: path)
      if !isClosed, isChecked, let problem = catalog.problem() {
        try? catalog.close()
        return .damaged(problem)
      }
      return .sound(catalog, try evidence(catalog))
    } catch let error as DiskError {
      return .hindered("\(error)")
    } catch {
      return Catalog.isHindered(error) ? .hindered("\(error)") : .damaged("\(error)")
    }
  }

  /// - Throws: when the catalog has values that it was never given.
  private static func evidence(_ catalog: any CatalogReader) throws -> [String: CatalogEvidence] {
    var evidence: [String: CatalogEvidence] = [:]
    for collection in try catalog.collections() {
      evidence[collection] = try CatalogEvidence(catalog, collection: collection)
    }
    return evidence
  }

  private static func problem(_ path: String, isChecked: Bool) throws -> String? {
    do {
      let snapshot = try CatalogSnapshot(path: path)
      return isChecked ? try snapshot.problem() : nil
    } catch CatalogError.empty {
      return nil
    }
  }

  private mutating func replace(_ reason: String, _ report: inout RecoveryReport) {
    let aside = "\(path).damaged-\(MonotonicTime.wallClockNanoseconds)"
    do {
      for suffix in ["", "-wal", "-shm"] where try RealDisk().kind(of: path + suffix) != nil {
        try RealDisk().rename(path + suffix, to: aside + suffix)
      }
      let made = try Catalog(path: path)
      catalog = made
      reader = made
      report.lines.append(
        "catalog.sqlite could not be used (\(reason)); kept as \(aside), made again from the logs")
    } catch {
      report.lines.append(
        "catalog.sqlite could not be used (\(reason)) and cannot be made again: \(error); receipts are kept in memory"
      )
    }
  }
}
