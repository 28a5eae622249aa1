// What is in a store, without reading its rows. Printed by `ingot status`.

internal import ShardStore
internal import SystemIO

/// One collection as its files say.
package struct CollectionListing: Sendable {
  package let name: String
  package var dimension = 0
  package var dtype = ""
  package var rowCount = 0
  package var shardCount = 0
  package var batchCount = 0
  /// Of all files.
  package var byteCount = 0
  /// Why some of it is not counted.
  package var problems: [String] = []
}

extension StoreVerifier {
  /// All collections, by name.
  package func list() throws(StoreProblem) -> [CollectionListing] {
    let store = try storeUUID()
    var ignored = StoreVerification()
    return try collectionDirectories(&ignored).map { list($0, store: store) }
  }

  private func list(_ directory: CollectionDirectory, store: StoreUUID) -> CollectionListing {
    var listing = CollectionListing(name: directory.name)
    do throws(StoreProblem) {
      let file = try CollectionFile.read(directory.layout.collectionFile, disk: disk)
      guard let opener = opener(directory.layout, file: file, store: store) else {
        listing.problems.append("collection.json: a value is out of range")
        return listing
      }
      listing.dimension = file.dimension
      listing.dtype = opener.geometry.dtype.name
      do throws(DiskError) { try count(&listing, opener) } catch { throw .disk(error) }
    } catch {
      listing.problems.append("\(error)")
    }
    return listing
  }

  private func count(_ listing: inout CollectionListing, _ opener: ShardOpener) throws(DiskError) {
    var notes: [String] = []
    let numbers = try shardNumbers(opener.collection, notes: &notes)
    let verifier = ShardVerifier(opener)
    for number in numbers {
      listing.shardCount += 1
      do throws(DiskError) {
        let shard = try verifier.list(
          number,
          evidence: ShardVerifier.Evidence(
            nextShardSequence: nextSequence(behind: number, numbers, opener)))
        listing.rowCount += shard.rowCount
        listing.byteCount += shard.byteCount
        listing.batchCount = max(listing.batchCount, shard.lastSequence ?? 0)
      } catch {
        listing.problems.append("\(error)")
      }
    }
  }
}
