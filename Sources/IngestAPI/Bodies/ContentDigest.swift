// The Content-Digest field: parsed strictly, and verified over the body as it was received.

internal import CCrypto
internal import SystemIO

/// The digests that a client sent with its body.
///
/// Source: RFC 9530 section 2; the values are byte sequences of RFC 8941.
package struct ContentDigest: Sendable, Equatable {
  /// 32 bytes.
  package let sha256: [UInt8]?
  /// The four bytes of the checksum, most significant first.
  package let crc32c: [UInt8]?

  /// - Parameter headerValue: A dictionary such as `sha-256=:…base64…:`. Algorithms other than
  ///   sha-256 and crc32c are ignored.
  package init(headerValue: String) throws(BodyError) {
    var digests: [String: [UInt8]] = [:]
    for item in headerValue.utf8.split(
      separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
    {
      let (key, digest) = try Self.entry(item)
      guard digests.updateValue(digest, forKey: key) == nil else {
        throw .badDigestHeader(reason: "\(key) is there twice")
      }
    }
    sha256 = digests["sha-256"]
    crc32c = digests["crc32c"]
    for (key, digest, byteCount) in [("sha-256", sha256, 32), ("crc32c", crc32c, 4)] {
      if let digest, digest.count != byteCount {
        throw .badDigestHeader(reason: "\(key) has \(digest.count) bytes, not \(byteCount)")
      }
    }
  }

  private static func entry(
    _ item: Substring.UTF8View
  ) throws(BodyError) -> (key: String, digest: [UInt8]) {
    var text = item.drop { $0 == 0x20 || $0 == 0x09 }
    while let last = text.last, last == 0x20 || last == 0x09 { text.removeLast() }
    guard let equals = text.firstIndex(of: UInt8(ascii: "=")),
      let key = String(text[..<equals]), !key.isEmpty,
      key.utf8.allSatisfy({ isKeyByte($0) })
    else { throw .badDigestHeader(reason: "an entry is not algorithm=:base64:") }
    let value = text[text.index(after: equals)...]
    guard value.count >= 2, value.first == UInt8(ascii: ":"), value.last == UInt8(ascii: ":"),
      let digest = Base64.decode(Array(value.dropFirst().dropLast()))
    else { throw .badDigestHeader(reason: "\(key) is not base64 between colons") }
    return (key, digest)
  }

  private static func isKeyByte(_ byte: UInt8) -> Bool {
    (97...122).contains(byte) || (48...57).contains(byte) || "_-.*".utf8.contains(byte)
  }
}

extension ContentDigest {
  /// Compares the body with every digest that was sent.
  ///
  /// - Returns: The body's SHA-256 when it was sent and right, for the batch to keep.
  @discardableResult
  package func verify(_ body: any BodyMemory) throws(BodyError) -> [UInt8]? {
    let bytes = BodyBytes(body)
    if let crc32c {
      let found = CRC32C.of(unsafe bytes.buffer)
      let foundBytes = stride(from: 24, through: 0, by: -8).map {
        UInt8(truncatingIfNeeded: found >> UInt32($0))
      }
      try Self.compare("crc32c", expected: crc32c, found: foundBytes)
    }
    if let sha256 {
      try Self.compare("sha-256", expected: sha256, found: SHA256.of(bytes))
    }
    return sha256
  }

  private static func compare(
    _ algorithm: String, expected: [UInt8], found: [UInt8]
  ) throws(BodyError) {
    guard expected == found else {
      throw .digestMismatch(
        algorithm: algorithm, expected: Base64.encode(expected), found: Base64.encode(found))
    }
  }
}

enum SHA256 {
  static func of(_ bytes: BodyBytes) -> [UInt8] { unsafe of(bytes.buffer) }

  static func of(_ bytes: [UInt8]) -> [UInt8] {
    unsafe bytes.withUnsafeBytes { unsafe of($0) }
  }

  private static func of(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    var digestByteCount: UInt32 = 0
    let status = unsafe EVP_Digest(
      bytes.baseAddress, bytes.count, &digest, &digestByteCount, EVP_sha256(), nil)
    precondition(status == 1 && digestByteCount == 32, "SHA-256 is not available")
    return digest
  }
}

/// Base64 of a few bytes, with padding; strict.
///
/// Source: RFC 4648 section 4.
private enum Base64 {
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let bits = (Array(group) + [0, 0]).prefix(3).reduce(0) { $0 << 8 | Int($1) }
      for place in 0...3 {
        let isPadding = place > group.count
        text.append(
          isPadding ? UInt8(ascii: "=") : alphabet[bits >> (18 - 6 * place) & 63])
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  static func decode(_ text: [UInt8]) -> [UInt8]? {
    guard text.count % 4 == 0 else { return nil }
    let padding = text.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
    var bits = 0
    var bitCount = 0
    var bytes: [UInt8] = []
    for character in text.dropLast(padding) {
      guard let value = alphabet.firstIndex(of: character) else { return nil }
      bits = (bits << 6 | value) & 0xFFFF
      bitCount += 6
      if bitCount >= 8 {
        bitCount -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> bitCount))
      }
    }
    // What is left over is padding and must be zero, or two texts would mean the same bytes.
    return bits & ((1 << bitCount) - 1) == 0 ? bytes : nil
  }
}
