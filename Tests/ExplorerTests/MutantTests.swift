// The explorer proves itself: without any one of the syncs that promises depend on, it finds a broken promise.

import Glibc
import Testing

/// The program without a sync.
struct Mutant: Sendable, CustomTestStringConvertible {
  let name: String
  /// Workloads that reach it.
  let workloads: [String]
  /// - Parameters: what the program does, the path, and how often that was synced before on this disk.
  let drops: @Sendable (Program.Phase, _ path: String, _ count: Int) -> Bool

  init(
    _ name: String, _ workloads: String...,
    drops: @escaping @Sendable (Program.Phase, String, Int) -> Bool
  ) {
    self.name = name
    self.workloads = workloads
    self.drops = drops
  }

  var testDescription: String { name }

  private static let collection = "/store/collections/c"

  /// Every sync of which some promise depends.
  static let needed = [
    // Store and collection.
    Mutant("store.json", "batches-1-oneByOne") { _, path, _ in path.hasSuffix("/store.json.new") },
    Mutant("the store's directory", "batches-1-oneByOne") { _, path, _ in path == "/store" },
    Mutant("the store's directory before store.json", "batches-1-oneByOne") { _, path, count in
      path == "/store" && count == 0
    },
    Mutant("the directory that holds the store", "batches-1-oneByOne") { _, path, _ in path == "/"
    },
    Mutant("collection.json", "batches-1-oneByOne") { _, path, _ in
      path.hasSuffix("/collection.json.new")
    },
    Mutant("the collection's directory", "batches-1-oneByOne") { _, path, _ in path == collection },
    Mutant("the collection's directory before collection.json", "batches-1-oneByOne") {
      _, path, count in path == collection && count == 0
    },
    Mutant("collections/", "batches-1-oneByOne") { _, path, _ in path == "/store/collections" },
    // Commits.
    Mutant("rows of a batch", "batches-1+1-oneByOne") { phase, path, count in
      phase == .commit && path.hasSuffix("/embeddings.npy") && count > 1
    },
    Mutant("log of a batch", "batches-1+1-oneByOne") { phase, path, _ in
      phase == .commit && path.hasSuffix("/commits.log")
    },
    Mutant("log of a later batch", "batches-1+1-oneByOne") { phase, path, count in
      phase == .commit && path.hasSuffix("/commits.log") && count > 0
    },
    Mutant("header of a new shard", "batches-3+3-oneByOne") { phase, path, count in
      phase == .commit && path.hasSuffix("/embeddings.npy") && count == 1
    },
    Mutant("the new shard's directory", "batches-1-oneByOne") { phase, path, _ in
      phase == .commit && path.hasPrefix("\(collection)/new/0") && path.utf8.count < 40
    },
    Mutant("new/ before the rename", "batches-1-oneByOne") { phase, path, count in
      phase == .commit && path == "\(collection)/new" && count % 2 == 0
    },
    Mutant("shards/ after the rename", "batches-1-oneByOne") { phase, path, _ in
      phase == .commit
        && [path == "\(collection)/shards", path == "\(collection)/new"].contains(true)
    },
    // Start.
    Mutant("rows that a start keeps", "batches-1+1-oneByOne") { phase, path, _ in
      phase == .open && path.hasSuffix("/embeddings.npy")
    },
    Mutant("records that a start keeps", "batches-1+1-oneByOne") { phase, path, _ in
      phase == .open && path.hasSuffix("/commits.log")
    },
    Mutant("names that a start finds", "batches-1+1-oneByOne") { phase, path, _ in
      phase == .open && (path.hasSuffix("/shards") || path.hasSuffix("/new"))
    },
    // Seals.
    Mutant("ids.index", "batches-3+3-oneByOne") { _, path, _ in
      path.hasSuffix("/.new-ids.index")
    },
    Mutant("exact size at the seal", "batches-3+3-oneByOne") { phase, path, _ in
      phase == .seal && path.hasSuffix("/embeddings.npy")
    },
    // Compaction.
    Mutant("index of a compacted shard", "compact") { phase, path, _ in
      phase == .compact && path.hasSuffix("/.new-ids.index")
    },
    Mutant("rows of a compacted shard", "compact") { phase, path, _ in
      phase == .compact && path.hasSuffix("/embeddings.npy")
    },
    Mutant("log of a compacted shard", "compact") { phase, path, _ in
      phase == .compact && path.hasSuffix("/commits.log")
    },
    Mutant("a compacted shard's directory", "compact") { phase, path, _ in
      phase == .compact && path.hasSuffix("/new/000000")
    },
    Mutant("new/ and shards/ in a compaction", "compact") { phase, path, _ in
      phase == .compact && (path == "\(collection)/new" || path == "\(collection)/shards")
    },
    // Repair.
    Mutant("a repaired shard's directory", "repair-header") { phase, path, _ in
      phase == .scrub && path.hasSuffix("/shards/000000")
    },
    Mutant("a repaired embeddings.npy", "repair-header") { _, path, _ in
      path.hasSuffix("/.new-embeddings.npy")
    },
    Mutant("a rebuilt commits.log", "repair-log") { _, path, _ in
      path.hasSuffix("/.new-commits.log")
    },
    Mutant("the note in quarantine", "repair-header") { _, path, _ in
      path.hasSuffix("/note.json")
    },
    Mutant("damaged files in quarantine", "repair-header") { _, path, _ in
      path.hasPrefix("/store/quarantine/c") && path.hasSuffix("/embeddings.npy")
    },
    Mutant("a folder in quarantine", "repair-header") { phase, path, _ in
      phase == .scrub && path.hasPrefix("/store/quarantine/c") && path.hasSuffix(".1")
    },
    Mutant("quarantine/", "repair-header") { _, path, _ in path == "/store/quarantine" },
  ]
}

@Suite struct MutantTests {
  @Test(arguments: Mutant.needed)
  func findsABrokenPromiseWithoutASyncThatIsNeeded(_ mutant: Mutant) throws {
    let found = try Self.explore(mutant)

    #expect(found != nil, "nothing is found without the sync: \(mutant.name)")
    print("mutant killed: \(mutant.name): \(found?.prefix(200) ?? "")")
  }

  /// The first violation.
  private static func explore(_ mutant: Mutant) throws -> String? {
    for name in mutant.workloads {
      let workload = try #require(Workload.named(name))
      var explorer = Explorer(
        workload, seed: ExplorerTests.seed, effort: .mutant, mutant: mutant)
      explorer.explorePowerCuts()
      if !explorer.isOver { explorer.exploreFaults(EIO, isForEver: true) }
      if let first = explorer.violations.first { return first }
    }
    return nil
  }
}
