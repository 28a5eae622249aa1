// store.json and collection.json: written once, each with a checksum of what it says.
// Format: docs/shard-format.md.

internal import Foundation
internal import ShardStore
package import SystemIO

/// A store or a collection that cannot be used as it is.
package enum StoreProblem: Error, Sendable {
  case disk(DiskError)
  /// One that is only to be opened is not there.
  case noStore(path: String, hasDirectory: Bool)
  /// None can be made here.
  case notAStore(path: String, found: String)
  case newerFormat(path: String, found: Int)
  case damagedFile(path: String, reason: String)
  case inUse(path: String, processID: Int?)
  /// The store is not the one that the settings name; nothing was found where there is none.
  case otherStore(path: String, expected: String, found: String?)

  /// This user may not open a file, which says nothing of what is in it.
  var isDenied: Bool { if case .disk(let error) = self { error.isDenied } else { false } }
}

package struct StoreFile: Codable {
  package var format = 1
  var storeUUID: String
  package var crc32c = ""

  enum CodingKeys: String, CodingKey {
    case format
    case storeUUID = "store_uuid"
    case crc32c
  }
}

package struct CollectionFile: Codable {
  package var format = 1
  var collectionUUID: String
  var dimension: Int
  var dtype: String
  package var crc32c = ""

  enum CodingKeys: String, CodingKey {
    case format
    case collectionUUID = "collection_uuid"
    case dimension
    case dtype
    case crc32c
  }
}

/// A file that says once what never changes.
package protocol OnceFile: Codable {
  var format: Int { get }
  /// CRC32C of the encoded file in which this is empty; eight hexadecimal digits.
  var crc32c: String { get set }
}

extension StoreFile: OnceFile {}
extension CollectionFile: OnceFile {}

extension OnceFile {
  static var formatMax: Int { 1 }
  private static var byteCountMax: Int { 1 << 16 }

  private func encoded() throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return [UInt8](try encoder.encode(self))
  }

  /// The checksum of a file, whatever else a newer format may write into it.
  ///
  /// - Returns: what was found and what the file says; nil when there is no place for one.
  private static func checksums(of bytes: [UInt8]) -> (found: String, expected: String)? {
    let name = Array("\"crc32c\":\"".utf8)
    let digitCount = 8
    guard bytes.count > name.count + digitCount,
      let start = (0..<(bytes.count - name.count - digitCount)).first(where: {
        bytes[$0] == name[0] && bytes[$0..<($0 + name.count)].elementsEqual(name)
      })
    else { return nil }
    let digits = (start + name.count)..<(start + name.count + digitCount)
    let found = CRC32C.of(
      Array(bytes[digits.upperBound...]), continuing: CRC32C.of(Array(bytes[..<digits.lowerBound])))
    return (found.hexadecimal, String(decoding: bytes[digits], as: UTF8.self))
  }

  /// Reads and checks a file.
  package static func read(_ path: String, disk: any Disk) throws(StoreProblem) -> Self {
    let bytes: [UInt8]
    do throws(DiskError) {
      let file = try disk.openFile(path, for: .read)
      bytes = try file.read(offset: 0, byteCount: min(try file.byteCount(), byteCountMax + 1))
    } catch {
      throw .disk(error)
    }
    guard bytes.count <= byteCountMax, let checksums = checksums(of: bytes) else {
      throw .damagedFile(path: path, reason: "it is not the JSON that Ingot writes")
    }
    // First, so that a damaged file is not taken for one of a newer format.
    guard checksums.found == checksums.expected else {
      throw .damagedFile(path: path, reason: "its checksum is wrong")
    }
    guard let value = try? JSONDecoder().decode(Self.self, from: Data(bytes)) else {
      throw .damagedFile(path: path, reason: "it is not the JSON that Ingot writes")
    }
    guard value.format <= formatMax else { throw .newerFormat(path: path, found: value.format) }
    return value
  }

  /// Writes a new file in full under another name, syncs it, and gives it its name, durably.
  func write(_ path: String, inDirectory directory: String, disk: any Disk) throws(DiskError) {
    var copy = self
    copy.crc32c = ""
    copy.crc32c = CRC32C.of((try? copy.encoded()) ?? []).hexadecimal
    let temporary = path + ".new"
    if try disk.kind(of: temporary) != nil {
      try disk.removeFile(temporary)
      // Durably, so that half a file of an interrupted attempt does not get this one's name.
      try disk.syncDirectory(directory)
    }
    let file = try disk.createFile(temporary)
    try file.write((try? copy.encoded()) ?? [], at: 0)
    try file.sync()
    try disk.rename(temporary, to: path)
    try disk.syncDirectory(directory)
  }
}

extension UInt32 {
  /// Eight lower-case digits.
  package var hexadecimal: String {
    let digits = String(self, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}

extension StoreProblem: CustomStringConvertible {
  package var description: String {
    switch self {
    case .disk(let error): "\(error)"
    case .noStore(let path, hasDirectory: true):
      "\(path) is no store of Ingot: there is no store.json in it"
    case .noStore(let path, hasDirectory: false):
      "\(path) is no store of Ingot: there is neither a store.json nor the directory"
    case .notAStore(let path, let found):
      "\(path) is not a store: it has no store.json but holds \(found); give an empty or a new "
        + "directory"
    case .newerFormat(let path, let found):
      "\(path) has format \(found), this version knows formats up to 1; use a newer version"
    case .damagedFile(let path, let reason):
      "\(path) is damaged: \(reason); restore it from a backup"
    case .otherStore(let path, let expected, let found):
      "\(path) is \(found.map { "store \($0)" } ?? "no store"), expected store \(expected); is its "
        + "volume mounted?"
    case .inUse(let path, let processID):
      "store \(path) is in use by process \(processID.map(String.init) ?? "unknown")"
    }
  }
}
