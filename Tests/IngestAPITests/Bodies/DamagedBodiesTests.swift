// Damaged bodies: cut at every byte, every bit flipped, mutated at random. Nothing traps, and
// nothing that differs from what was sent becomes a batch.

import TestContent
import Testing

@testable import IngestAPI
@testable import ShardStore

/// A good body of one format.
struct Sample: CustomTestStringConvertible, Sendable {
  let name: String
  let format: BodyFormat
  let bytes: [UInt8]
  let ids: ExternalIDs?

  var testDescription: String { name }
  var isDeflated: Bool { name.contains("compressed") || name.contains("deflated") }

  func decode(_ bytes: [UInt8]) throws(BodyError) -> Batch {
    try BodyFixture(bytes).decode(as: format, ids: ids)
  }

  static let all: [Sample] = [
    golden("savez.npz"), golden("savez-compressed.npz"), golden("zip64.npz"),
    golden("streamed-deflated.npz"), golden("bytes-ids.npz"),
    Sample(name: "npy", format: .npy, bytes: file("version-1.npy"), ids: .from(first: 5)),
    Sample(
      name: "multipart", format: formBoundary,
      bytes: BodyFixture(parts: [
        ("ids", nil, Array(#"["a","b",3]"#.utf8)), ("embeddings", nil, file("version-1.npy")),
      ]).bytes, ids: nil),
    text(
      "columns", .json, #"{"ids":["a","é",3],"embeddings":[[1,2.5,-3e-1,4],[1,2,3,4],[0,0,0,1]]}"#),
    text("base64", .json, #"{"ids":[7],"embeddings":["AACAPwAAAL8AAABAAACAPg=="]}"#),
    text(
      "response", .json,
      #"{"object":"list","data":[{"index":1,"embedding":[1,2,3,4]},"#
        + #"{"index":0,"embedding":[5,6,7,8]}],"model":"m","ids":["x","y"]}"#),
    text("items", .json, #"{"items":[{"id":"a","embedding":[1,2,3,4],"x":{"y":[null,true]}}]}"#),
    text(
      "lines", .ndjson, "{\"id\":1,\"embedding\":[1,2,3,4]}\n{\"id\":2,\"embedding\":[1,2,3,5]}"),
  ]

  static let archives = Array(all.prefix(5))

  private static func text(_ name: String, _ format: BodyFormat, _ text: String) -> Sample {
    Sample(name: name, format: format, bytes: Array(text.utf8), ids: nil)
  }

  private static func golden(_ name: String) -> Sample {
    Sample(name: name, format: .npz, bytes: file(name), ids: nil)
  }

  private static func file(_ name: String) -> [UInt8] {
    (try? BodyFixture(golden: name))?.bytes ?? []
  }
}

@Suite struct DamagedBodiesTests {
  @Test(arguments: Sample.all)
  func refusesEveryCut(sample: Sample) throws {
    _ = try sample.decode(sample.bytes)

    for byteCount in 0..<sample.bytes.count {
      // A form may lack the line end behind its last boundary; a line may be the last one.
      let isWhole =
        sample.name == "multipart" && byteCount == sample.bytes.count - 2
        || sample.name == "lines"
          && sample.bytes[..<byteCount].split(separator: 10).allSatisfy {
            $0.last == UInt8(ascii: "}")
          } && byteCount > 0
      let batch = try? sample.decode(Array(sample.bytes.prefix(byteCount)))
      #expect((batch != nil) == isWhole, "cut to \(byteCount)")
    }
  }

  /// Only bits that mean nothing may change without notice: versions, times, attributes, and in a
  /// deflate stream those that fill its last byte or describe symbols that do not occur.
  @Test(arguments: Sample.archives)
  func noticesEveryFlip(sample: Sample) throws {
    let original = try sample.decode(sample.bytes)
    var unchecked = uncheckedOffsets(of: BodyFixture(sample.bytes))
    if sample.isDeflated { unchecked.formUnion(try deflatedOffsets(of: sample)) }

    for offset in sample.bytes.indices {
      for bit in 0..<8 {
        var bytes = sample.bytes
        bytes[offset] ^= 1 << bit
        guard let batch = try? sample.decode(bytes) else { continue }
        #expect(batch.contentDigest == original.contentDigest, "byte \(offset) bit \(bit)")
        #expect(unchecked.contains(offset), "byte \(offset) bit \(bit)")
      }
    }
  }

  private func deflatedOffsets(of sample: Sample) throws -> [Int] {
    let memory = HeapBodyMemory(sample.bytes)
    return try ZipArchive(BodyBytes(memory), memberCountMax: 4).members.flatMap {
      Array($0.dataOffset..<($0.dataOffset + $0.storedByteCount))
    }
  }

  private func uncheckedOffsets(of body: BodyFixture) -> Set<Int> {
    var offsets: Set<Int> = []
    for local in body.offsets(of: .local) {
      // Version needed; time and date.
      offsets.formUnion([4, 5, 10, 11, 12, 13].map { local + $0 })
    }
    for entry in body.offsets(of: .entry) {
      // Version made by and needed, time and date, internal and external attributes.
      offsets.formUnion([4, 5, 6, 7, 12, 13, 14, 15].map { entry + $0 })
      offsets.formUnion((36..<42).map { entry + $0 })
    }
    if let record = body.offset(of: [0x50, 0x4B, 6, 6]) {
      // Versions made by and needed, of the zip64 end record.
      offsets.formUnion((12..<16).map { record + $0 })
    }
    return offsets
  }

  /// Seeds are fixed so that a failure can be repeated; change `round` to search elsewhere.
  @Test(arguments: Sample.all)
  func survivesMutations(sample: Sample) {
    let round: UInt64 = 1
    let seed = sample.name.utf8.reduce(round) { $0 &* 31 &+ UInt64($1) }
    print("mutations of \(sample.name): seed \(seed)")
    var random = SeededGenerator(seed: seed)
    var decodedCount = 0

    for _ in 0..<20_000 {
      let bytes = mutated(sample.bytes, &random)
      if (try? sample.decode(bytes)) != nil { decodedCount += 1 }
    }

    #expect(decodedCount < 20_000)
  }

  private func mutated(_ original: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
    var bytes = original
    for _ in 0..<Int.random(in: 1...6, using: &random) where !bytes.isEmpty {
      let offset = Int.random(in: bytes.indices, using: &random)
      let end = min(bytes.count, offset + Int.random(in: 1...12, using: &random))
      switch Int.random(in: 0..<6, using: &random) {
      case 0: bytes[offset] = UInt8.random(in: .min ... .max, using: &random)
      case 1: bytes[offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2: bytes.removeSubrange(offset..<end)
      case 3: bytes.insert(contentsOf: bytes[offset..<end], at: offset)
      case 4: for index in offset..<end { bytes[index] = [0, 0xFF, 0x7F][index % 3] }
      default: bytes.removeSubrange(offset...)
      }
    }
    return bytes
  }
}
