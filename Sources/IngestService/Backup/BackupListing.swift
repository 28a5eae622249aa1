// What there is in a store at one moment, by identity: whether a shard was replaced meanwhile is seen by
// comparing two of them.

internal import ShardStore
internal import SystemIO

/// A collection and the identities of its shards' directories.
struct BackupCollection {
  let name: String
  let file: CollectionFile
  let opener: ShardOpener
  let shards: [Int: FileIdentity]

  var numbers: [Int] { shards.keys.sorted() }
  var uuid: String { opener.collectionUUID.description }
}

struct BackupListing {
  private(set) var collections: [BackupCollection] = []
  /// Collections that cannot be listed, with the reason.
  private(set) var problems: [String: String] = [:]

  /// Reads the names and the descriptions of all collections.
  init(_ store: StoreVerifier, uuid: StoreUUID) throws(StoreProblem) {
    var ignored = StoreVerification()
    for directory in try store.collectionDirectories(&ignored) {
      let file: CollectionFile
      do throws(StoreProblem) {
        file = try CollectionFile.read(directory.layout.collectionFile, disk: store.disk)
      } catch {
        problems[directory.name] = "\(error)"
        continue
      }
      guard let opener = store.opener(directory.layout, file: file, store: uuid) else {
        problems[directory.name] = "collection.json: a value is out of range"
        continue
      }
      do throws(DiskError) {
        collections.append(
          BackupCollection(
            name: directory.name, file: file, opener: opener,
            shards: try Self.shards(opener.collection)))
      } catch {
        throw .disk(error)
      }
    }
  }

  private static func shards(
    _ collection: CollectionLayout
  ) throws(DiskError) -> [Int: FileIdentity] {
    let disk = RealDisk()
    guard try disk.kind(of: collection.shards) == .directory else { return [:] }
    var shards: [Int: FileIdentity] = [:]
    for name in try disk.names(inDirectory: collection.shards) {
      guard let number = ShardIdentity.number(ofDirectoryName: name) else { continue }
      // Nil when it went away since its name was read.
      shards[number] = try disk.identity(of: collection.shard(number).root)
    }
    return shards
  }

  /// Whether every shard of this listing is still there, as it was, in a later one.
  func isContained(in later: BackupListing) -> Bool {
    collections.allSatisfy { collection in
      let found = later.collections.first { $0.name == collection.name }
      return collection.shards.allSatisfy { found?.shards[$0.key] == $0.value }
    }
  }

  /// Bytes of the shards' files, for progress.
  var byteCount: Int {
    let disk = RealDisk()
    return collections.reduce(0) { sum, collection in
      collection.numbers.reduce(sum) { sum, number in
        let shard = collection.opener.collection.shard(number)
        return [shard.embeddings, shard.log, shard.index].reduce(sum) { sum, path in
          sum + ((try? disk.openFile(path, for: .read).byteCount()) ?? 0)
        }
      }
    }
  }
}
