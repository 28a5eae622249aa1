// Larger damages, each from a seed: what is changed, where, and with what. Used by RandomDamageTests.swift.

import CLinux
import Foundation
import Glibc
import IngestService
import ShardStore
import SystemIO
import TestContent

/// The states from which a damage takes its bytes.
struct DamageSources {
  let store: ReferenceStore
  let map: StoreMap
  /// Of the store, when half of its batches were there.
  let yesterday: [String: [UInt8]]
  /// A store of the same shape with other UUIDs and rows.
  let foreign: ReferenceStore
  let foreignContents: [String: [UInt8]]
  let contents: [String: [UInt8]]
  let paths: [String]
  /// Files that were there yesterday and have changed within what they had then.
  let changed: [String]
  let dump: CatalogDump

  init(_ plan: StorePlan) throws {
    store = try ReferenceStore()
    yesterday = try Self.halfOf(plan, in: store)
    try plan.fill(store) { $0.suffix($0.count - $0.count / 2) }
    var other = plan
    other.seed &+= 1
    foreign = try other.makeClosed()
    foreignContents = try foreign.contents()
    contents = try store.contents()
    paths = contents.keys.sorted()
    let (old, new) = (yesterday, contents)
    changed = paths.filter { path in
      guard let before = old[path], let now = new[path] else { return false }
      return !now.starts(with: before.prefix(now.count))
    }
    map = try StoreMap(store)
    dump = try CatalogDump(store.layout.catalogFile)
  }
}

extension DamageSources {
  /// The files with half of the batches, open shards with their preallocated tails.
  private static func halfOf(
    _ plan: StorePlan, in store: ReferenceStore
  ) throws -> [String: [UInt8]] {
    let service = try plan.open(store)
    try plan.fill(service) { $0.prefix($0.count / 2) }
    var contents = try store.contents()
    service.close()
    contents["catalog.sqlite"] = try store.bytes("catalog.sqlite")
    return contents
  }
}

/// One damage; the same for the same seed.
struct RandomDamage: CustomStringConvertible {
  enum Kind: String, CaseIterable {
    case garbage, zeros, ones, hole, olderBlock, foreignBlock, blockOfTheFile, blockOfAnotherFile
    case shardsSwapped, foreignShard
  }

  /// Bytes that are replaced.
  struct Patch {
    var path: String
    var offset: Int
    var bytes: [UInt8]
    var isHole = false
  }

  let seed: UInt64
  let kind: Kind
  private(set) var patches: [Patch] = []
  private(set) var shards: [ShardKey] = []

  static let byteCounts = 512...(1 << 20)

  init(seed: UInt64, _ sources: DamageSources) {
    self.seed = seed
    var random = SeededGenerator(seed: seed)
    // Whole shards are few, so that they are damaged seldom.
    let isOfBlocks = Int.random(in: 0..<20, using: &random) > 0
    kind =
      (isOfBlocks ? Kind.allCases.dropLast(2) : Kind.allCases.suffix(2))
      .randomElement(using: &random) ?? .garbage
    switch kind {
    case .shardsSwapped:
      shards = Array(sources.map.shards.keys.sorted().shuffled(using: &random).prefix(2))
    case .foreignShard:
      shards = Array(sources.map.shards.keys.sorted().shuffled(using: &random).prefix(1))
    default:
      choosePatches(sources, &random)
    }
  }

  private mutating func choosePatches(_ sources: DamageSources, _ random: inout SeededGenerator) {
    let first = Self.range(
      of: sources, in: kind == .olderBlock ? sources.changed : sources.paths, &random)
    let original = sources.contents[first.path] ?? []
    switch kind {
    case .garbage:
      patches = [Patch(first, (0..<first.bytes.count).map { _ in UInt8(random.next() >> 56) })]
    case .zeros, .hole:
      patches = [Patch(first, [UInt8](repeating: 0, count: first.bytes.count))]
      patches[0].isHole = kind == .hole
    case .ones:
      patches = [Patch(first, [UInt8](repeating: 0xFF, count: first.bytes.count))]
    case .olderBlock, .foreignBlock:
      let source =
        (kind == .olderBlock ? sources.yesterday : sources.foreignContents)[first.path] ?? []
      let bytes = first.bytes.clamped(to: 0..<source.count)
      patches = [Patch(path: first.path, offset: bytes.lowerBound, bytes: Array(source[bytes]))]
    default:
      let isOfTheFile = kind == .blockOfTheFile
      let path = isOfTheFile ? first.path : sources.paths.randomElement(using: &random) ?? ""
      let other = sources.contents[path] ?? []
      let count = min(first.bytes.count, other.count)
      let offset = Int.random(in: 0...(other.count - count), using: &random)
      let source = offset..<(offset + count)
      let target = first.bytes.lowerBound..<(first.bytes.lowerBound + count)
      patches = [
        Patch(path: first.path, offset: target.lowerBound, bytes: Array(other[source])),
        Patch(path: path, offset: offset, bytes: Array(original[target])),
      ]
      // Of two that overlap only one can be put in place.
      if path == first.path, source.overlaps(target) { patches.removeLast() }
    }
  }

  /// A file, each as likely as another, and a part of it; sizes of each order are as likely.
  private static func range(
    of sources: DamageSources, in paths: [String], _ random: inout SeededGenerator
  ) -> (path: String, bytes: Range<Int>) {
    let path = paths.randomElement(using: &random) ?? ""
    let byteCount = sources.contents[path]?.count ?? 0
    let exponent = Double.random(in: 9...20, using: &random)
    let count = min(byteCount, Int(exp2(exponent)))
    var offset = Int.random(in: 0...(byteCount - count), using: &random)
    // Disks lose sectors; programs lose whatever they like.
    if Bool.random(using: &random) { offset = offset / 512 * 512 }
    return (path, offset..<(offset + count))
  }

  var description: String {
    let places = patches.map { "\($0.path) \($0.offset)..<\($0.offset + $0.bytes.count)" }
    return "seed \(seed): \(kind) of \(places + shards.map(\.description))"
  }
}

extension RandomDamage.Patch {
  fileprivate init(_ place: (path: String, bytes: Range<Int>), _ bytes: [UInt8]) {
    self.init(path: place.path, offset: place.bytes.lowerBound, bytes: bytes)
  }
}

// MARK: - Done and undone

extension RandomDamage {
  /// What the damage changes; nothing when the bytes are the same.
  func touched(_ sources: DamageSources) -> Touched {
    var touched = Touched()
    for patch in patches {
      let original = sources.contents[patch.path] ?? []
      sources.map.touch(
        patch.path, patch.offset..<(patch.offset + patch.bytes.count), &touched
      ) { range in
        original[range]
          != patch.bytes[(range.lowerBound - patch.offset)..<(range.upperBound - patch.offset)]
      }
    }
    if patches.count == 2, patches[0].path == patches[1].path {
      for patch in patches {
        sources.map.displace(
          patch.path, patch.offset..<(patch.offset + patch.bytes.count), &touched)
      }
    }
    for key in shards { sources.map.touchAll(key, &touched) }
    return touched
  }

  func apply(to root: String, _ sources: DamageSources) throws {
    for patch in patches { try patch.write(root) }
    guard let first = shards.first else { return }
    let (path, aside) = ("\(root)/\(first.path)", root + "/aside")
    let manager = FileManager.default
    try manager.moveItem(atPath: path, toPath: aside)
    if let second = shards.dropFirst().first {
      try manager.moveItem(atPath: "\(root)/\(second.path)", toPath: path)
      try manager.moveItem(atPath: aside, toPath: "\(root)/\(second.path)")
    } else {
      try manager.copyItem(atPath: "\(sources.foreign.root)/\(first.path)", toPath: path)
    }
  }

  func undo(in root: String, _ sources: DamageSources) throws {
    for patch in patches {
      let range = patch.offset..<(patch.offset + patch.bytes.count)
      try Patch(
        path: patch.path, offset: patch.offset,
        bytes: Array(sources.contents[patch.path]?[range] ?? [])
      ).write(root)
    }
    guard let first = shards.first else { return }
    if shards.count == 2 { return try apply(to: root, sources) }
    let path = "\(root)/\(first.path)"
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.moveItem(atPath: root + "/aside", toPath: path)
  }
}

extension RandomDamage.Patch {
  fileprivate func write(_ root: String) throws {
    guard isHole else {
      return try RealDisk().openFile("\(root)/\(path)", for: .readWrite).write(bytes, at: offset)
    }
    let file = Glibc.open("\(root)/\(path)", O_RDWR | O_CLOEXEC)
    defer { close(file) }
    guard linux_punch_hole(file, offset, bytes.count) == 0 else { throw POSIXError(.EIO) }
  }
}
