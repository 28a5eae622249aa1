// Reading bytes from outside: the only file of the decoders that turns hostile offsets into loads.

internal import Glibc

/// A part of a body, read only through checks: no offset or length from outside can trap here.
@safe
struct BodyBytes {
  /// What keeps the bytes alive.
  let owner: AnyObject
  let buffer: UnsafeRawBufferPointer

  init(_ memory: any BodyMemory) {
    owner = memory
    unsafe buffer = memory.bytes
  }

  private init(owner: AnyObject, buffer: UnsafeRawBufferPointer) {
    self.owner = owner
    unsafe self.buffer = buffer
  }

  var count: Int { unsafe buffer.count }

  /// The byte at `offset`; `nil` outside.
  subscript(offset: Int) -> UInt8? {
    guard offset >= 0, offset < count else { return nil }
    return unsafe buffer[offset]
  }

  /// The little-endian integer at `offset`; `nil` when it is not all inside.
  func integer<Value: FixedWidthInteger>(_ type: Value.Type, at offset: Int) -> Value? {
    guard offset >= 0, offset <= count - Value.bitWidth / 8 else { return nil }
    return Value(littleEndian: unsafe buffer.loadUnaligned(fromByteOffset: offset, as: Value.self))
  }

  /// The bytes from `offset` on; `nil` when they are not all inside.
  func slice(at offset: Int, byteCount: Int) -> BodyBytes? {
    guard offset >= 0, byteCount >= 0, offset <= count, byteCount <= count - offset else {
      return nil
    }
    let part = unsafe UnsafeRawBufferPointer(rebasing: buffer[offset..<(offset + byteCount)])
    return unsafe BodyBytes(owner: owner, buffer: part)
  }

  func hasBytes(_ expected: [UInt8], at offset: Int) -> Bool {
    guard let part = slice(at: offset, byteCount: expected.count) else { return false }
    return unsafe part.buffer.elementsEqual(expected)
  }

  /// Where `byte` first occurs at or behind `offset`.
  func firstOffset(of byte: UInt8, from offset: Int) -> Int? {
    guard offset >= 0, offset < count, let base = unsafe buffer.baseAddress else { return nil }
    guard let hit = unsafe memchr(base + offset, Int32(byte), count - offset) else { return nil }
    return unsafe UnsafeRawPointer(hit) - base
  }

  /// Where `pattern` first occurs at or behind `offset`.
  func firstOffset(of pattern: [UInt8], from offset: Int) -> Int? {
    guard let head = pattern.first else { return nil }
    var position = offset
    while let candidate = firstOffset(of: head, from: position) {
      if hasBytes(pattern, at: candidate) { return candidate }
      position = candidate + 1
    }
    return nil
  }

  /// The bytes as text, for messages and names; what is not UTF-8 is replaced.
  var text: String { unsafe String(decoding: buffer, as: UTF8.self) }
}
