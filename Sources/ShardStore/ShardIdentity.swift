// Which shard of which collection of which store: part of everything that is checksummed.
// Format: docs/shard-format.md "Identity and seed".

internal import SystemIO

/// 16 bytes that nobody else has.
package struct StoreUUID: Hashable, Sendable, CustomStringConvertible {
  package let bytes: [UInt8]

  package static let byteCount = 16

  /// A new one: version 4 of RFC 9562.
  package static func random() -> StoreUUID {
    var bytes = (0..<byteCount).map { _ in UInt8.random(in: .min ... .max) }
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    return StoreUUID(unchecked: bytes)
  }

  private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

  package init?(bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    self.init(unchecked: bytes)
  }

  /// The usual 36 characters; hyphens may be missing.
  package init?(_ text: String) {
    let digits = text.utf8.filter { $0 != UInt8(ascii: "-") }
    guard digits.count == 32 else { return nil }
    var bytes: [UInt8] = []
    for pair in stride(from: 0, to: 32, by: 2) {
      let byte = String(decoding: digits[pair..<(pair + 2)], as: UTF8.self)
      guard let value = UInt8(byte, radix: 16) else { return nil }
      bytes.append(value)
    }
    self.init(unchecked: bytes)
  }

  package var description: String {
    var text = ""
    for (index, byte) in bytes.enumerated() {
      if [4, 6, 8, 10].contains(index) { text += "-" }
      text += byte < 16 ? "0" + String(byte, radix: 16) : String(byte, radix: 16)
    }
    return text
  }
}

package struct ShardIdentity: Hashable, Sendable {
  package let store: StoreUUID
  package let collection: StoreUUID
  package let number: Int

  /// Six digits: one million shards of 256 MiB are 268 TB.
  package static let numberMax = 999_999

  package init(store: StoreUUID, collection: StoreUUID, number: Int) {
    precondition((0...Self.numberMax).contains(number), "a shard number has six digits")
    self.store = store
    self.collection = collection
    self.number = number
  }

  /// What seeded checksums of this shard continue from.
  package var seed: UInt32 {
    var bytes = ByteWriter()
    bytes.append(store.bytes)
    bytes.append(collection.bytes)
    bytes.append(UInt32(number))
    return CRC32C.of(bytes.bytes)
  }

  /// The seed of the hashes in indexes; the same for all shards of a store.
  package var idHashSeed: UInt64 { ByteReader(store.bytes).integer(at: 0) }

  /// The name of the shard's directory.
  package var directoryName: String { Self.directoryName(number) }

  package static func directoryName(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 6 - digits.count)) + digits
  }

  /// The number that a directory's name stands for; nil for other names.
  package static func number(ofDirectoryName name: String) -> Int? {
    guard name.utf8.count == 6, name.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      return nil
    }
    return Int(name)
  }
}
