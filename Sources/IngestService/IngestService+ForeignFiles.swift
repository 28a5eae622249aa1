// Names in a store that are not Ingot's: left alone and reported (fault E8). Those among the shards: Collection+Open.swift.

internal import ShardStore
internal import SystemIO

extension IngestService {
  /// One line for each foreign name; hidden ones belong to file systems and to a server that runs.
  static func foreignFiles(
    _ layout: StoreLayout, collections: [Collection], disk: any Disk
  ) -> [String] {
    var found = foreignNames(in: layout.root, disk: disk) { name in
      ["collections", "quarantine", "lost+found"].contains(name)
        || ["store.json", "catalog.sqlite"].contains { name.hasPrefix($0) }
    }
    found += foreignNames(in: layout.collections, disk: disk, isKnown: Collection.isValidName)
    for collection in collections.map(\.opener.collection) {
      found += foreignNames(in: collection.root, disk: disk) { name in
        ["shards", "new"].contains(name) || name.hasPrefix("collection.json")
      }
      found += foreignNames(in: collection.newShards, disk: disk) { name in
        ShardIdentity.number(ofDirectoryName: name) != nil
      }
    }
    return found.map { "\($0) is not Ingot's and is left alone" }
  }

  private static func foreignNames(
    in directory: String, disk: any Disk, isKnown: (String) -> Bool
  ) -> [String] {
    let names = (try? disk.names(inDirectory: directory)) ?? []
    return names.filter { !$0.hasPrefix(".") && !isKnown($0) }.map { directory + "/" + $0 }
  }
}
