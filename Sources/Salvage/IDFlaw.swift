// What makes bytes no id, or no line of a list. Used by IDSpool.swift and `ingot reconcile`.

internal import ShardStore

/// Why bytes from outside cannot be an id.
package enum IDFlaw: Error, Equatable, Sendable, CustomStringConvertible {
  case empty
  case tooLong(byteCount: Int)
  case notUTF8
  /// The lists that commands write have one id on each line.
  case lineBreak

  /// Nil when nothing is wrong.
  package init?(_ id: UnsafeRawBufferPointer) {
    guard id.count > 0 else {
      self = .empty
      return
    }
    guard id.count <= IDList.idByteCountMax else {
      self = .tooLong(byteCount: id.count)
      return
    }
    var isASCII = true
    for index in id.indices {
      let byte = unsafe id[index]
      isASCII = isASCII && byte < 0x80
      if byte == UInt8(ascii: "\n") {
        self = .lineBreak
        return
      }
    }
    guard !isASCII, (unsafe String(validating: id, as: UTF8.self)) == nil else { return nil }
    self = .notUTF8
  }

  package var description: String {
    switch self {
    case .empty: "is empty, expected an id of 1 to 512 bytes"
    case .tooLong(let byteCount): "has \(byteCount) bytes, expected an id of 1 to 512 bytes"
    case .notUTF8: "is not UTF-8"
    case .lineBreak: "is an id with a line break, and lists have one id on each line"
    }
  }
}
