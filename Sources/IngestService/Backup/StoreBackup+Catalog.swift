// The catalog in a backup: copied first, and asked what should exist.

internal import Catalog
internal import Foundation
internal import ShardStore
internal import SystemIO

extension StoreBackup {
  private struct Cancelled: Error {}

  /// Copies the catalog beside the target's own. It is derived: without one, the copy makes it again.
  ///
  /// - Returns: nil when there is none that can be read.
  func copyCatalog(into target: BackupTarget) throws(BackupProblem) -> CatalogSnapshot? {
    let path = source.layout.catalogFile
    guard (try? disk.kind(of: path)) == .file else {
      summary.notes.append("\(path) is missing; the copy makes it again from the logs")
      return nil
    }
    do {
      try CatalogCopy.write(of: path, to: target.newCatalog) { [self] in
        do throws(BackupProblem) { try stopIfCancelled() } catch { throw Cancelled() }
      }
      let snapshot = try CatalogSnapshot(path: target.newCatalog)
      let byteCount = try disk.openFile(target.newCatalog, for: .read).byteCount()
      var outcome = BackupOutcome()
      outcome.add(.copied, byteCount)
      record("catalog.sqlite", outcome)
      return snapshot
    } catch is Cancelled {
      throw .interrupted
    } catch {
      summary.notes.append(
        "\(path) cannot be copied (\(error)); the copy makes it again from the logs")
      target.abandon()
      return nil
    }
  }

  /// Refuses to write over a copy that was served by itself and holds batches that the source does not.
  func refuseDifferent(
    _ target: BackupTarget, from catalog: CatalogSnapshot?
  ) throws(BackupProblem) {
    guard let catalog, (try? disk.kind(of: target.layout.catalogFile)) == .file,
      let own = try? CatalogSnapshot(path: target.layout.catalogFile),
      let collections = try? own.collections()
    else { return }
    for collection in collections {
      guard let last = try? own.lastSequence(collection: collection),
        let digest = try? own.contentDigest(collection: collection, sequence: last),
        (try? catalog.contentDigest(collection: collection, sequence: last)) != digest
      else { continue }
      throw .targetDiffers(
        path: target.layout.root,
        reason: "batch \(last) of the collection with UUID \(collection) is not in the source")
    }
  }

  /// Collections that only the catalog knows; one whose collection.json is damaged may be any of them.
  func noteLostCollections(_ listing: BackupListing, catalog: CatalogSnapshot?) {
    guard listing.problems.isEmpty else { return }
    let known = Set(listing.collections.map(\.uuid))
    for uuid in (try? catalog?.collections()) ?? [] where !known.contains(uuid) {
      summary.problems.append(
        "a collection with UUID \(uuid) is in catalog.sqlite and not on disk; its rows are not in the copy"
      )
    }
  }

  /// Whether the catalog knows shards that are not there.
  func hasLostShards(_ listing: BackupListing, catalog: CatalogSnapshot?) -> Bool {
    listing.collections.contains { collection in
      let known = (try? catalog?.positions(collection: collection.uuid)) ?? [:]
      return known.keys.contains { collection.shards[$0] == nil }
    }
  }
}
