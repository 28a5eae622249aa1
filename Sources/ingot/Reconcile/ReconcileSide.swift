// What a database is compared with: a store that is open here, or a server (ServerSide.swift).

import ArgumentParser
import IngestService
import ShardStore

/// What a store says of an id.
enum IDState: Sendable {
  /// Served; its row in the collection, counted through all shards, where that is known.
  case there(position: Int?)
  case missing, deleted, quarantined
}

protocol ReconcileSide: AnyObject {
  /// In the order of the ids.
  func states(of ids: IDList) throws -> [IDState]
  /// Every id of the collection that is not deleted, once each.
  func forEachID(_ take: (ArraySlice<UInt8>) throws -> Void) throws
  func close()
}

/// Owns a store while it is compared.
final class StoreSide: ReconcileSide {
  private let service: IngestService
  private let collection: Collection
  private let lookup: IDLookup
  /// Rows of the shards before, by shard number.
  private let firstPositions: [Int: Int]

  init(root: String, collection name: String) throws {
    service = try IngestService.openForCommand(root: root, creates: false)
    guard let found = service.collection(name) else {
      service.close()
      throw Failure("\(root) has no collection \(name)", code: .couldNotRun)
    }
    collection = found
    lookup = IDLookup(found)
    var position = 0
    var firstPositions: [Int: Int] = [:]
    for shard in found.shards {
      firstPositions[shard.identity.number] = position
      position += shard.rowCount
    }
    self.firstPositions = firstPositions
  }

  func states(of ids: IDList) -> [IDState] {
    lookup.find(ids).map { finding in
      switch finding {
      case .row(let shard, let row):
        .there(position: firstPositions[shard.identity.number].map { $0 + row })
      case .damaged: .quarantined
      case .deleted: .deleted
      case .unknown, .lost: .missing
      }
    }
  }

  func forEachID(_ take: (ArraySlice<UInt8>) throws -> Void) throws {
    var ids = LiveIDs(collection)
    while let id = ids.next() { try take(id[...]) }
  }

  func close() { service.close() }
}
