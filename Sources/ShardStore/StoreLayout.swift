// Where things are in a store. Format: docs/shard-format.md, first section.

/// Paths below a store's directory.
package struct StoreLayout: Sendable {
  package let root: String

  package init(root: String) { self.root = root }

  /// The directory that holds the store's name.
  package var parent: String {
    let path = root.hasSuffix("/") ? root.dropLast() : root[...]
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  package var storeFile: String { root + "/store.json" }
  package var catalogFile: String { root + "/catalog.sqlite" }
  package var collections: String { root + "/collections" }
  package var quarantine: String { root + "/quarantine" }
  /// Written and removed to find out whether a durable write can succeed.
  package var probeFile: String { root + "/" + Self.passingNames[0] }
  /// Room for what has to be written when the disk is full.
  package var ballastFile: String { root + "/" + Self.passingNames[1] }

  /// Of files that hold nothing, and that are there only while a server runs.
  package static let passingNames = [".probe", ".ballast"]

  package func collection(_ name: String) -> CollectionLayout {
    CollectionLayout(root: collections + "/" + name)
  }
}

package struct CollectionLayout: Sendable {
  package let root: String

  package var collectionFile: String { root + "/collection.json" }
  package var shards: String { root + "/shards" }
  /// Where shards are until a batch in them is durable: out of sight of whoever lists `shards`.
  package var newShards: String { root + "/new" }

  package func shard(_ number: Int) -> ShardLayout {
    ShardLayout(root: shards + "/" + ShardIdentity.directoryName(number))
  }

  package func newShard(_ number: Int) -> ShardLayout {
    ShardLayout(root: newShards + "/" + ShardIdentity.directoryName(number))
  }
}

package struct ShardLayout: Sendable {
  package let root: String

  package var embeddings: String { root + "/embeddings.npy" }
  package var log: String { root + "/commits.log" }
  package var index: String { root + "/ids.index" }
  /// Where repairs write, before what they wrote was verified and gets its name.
  package var newIndex: String { root + "/.new-ids.index" }
  package var newEmbeddings: String { root + "/.new-embeddings.npy" }
  package var newLog: String { root + "/.new-commits.log" }
}
