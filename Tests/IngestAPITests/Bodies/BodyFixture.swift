// What the tests of the body decoders share: golden bodies, damage, and one call to decode.

import Foundation
import Testing

@testable import IngestAPI
@testable import ShardStore

/// A body that can be damaged before it is decoded.
struct BodyFixture {
  var bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  init(_ text: String) { bytes = Array(text.utf8) }

  /// A golden file, made by Tests/Data/make-bodies.py.
  init(golden name: String) throws {
    let folder = URL(filePath: #filePath).appending(path: "../../../Data/bodies").standardized
    bytes = Array(try Data(contentsOf: folder.appending(path: name)))
  }

  /// A part of a form.
  typealias Part = (name: String, type: String?, content: [UInt8])

  /// A form with the boundary `b0`.
  init(parts: [Part]) {
    bytes = []
    for part in parts {
      bytes += Array("--b0\r\nContent-Disposition: form-data; name=\"\(part.name)\"\r\n".utf8)
      if let type = part.type { bytes += Array("Content-Type: \(type)\r\n".utf8) }
      bytes += Array("\r\n".utf8) + part.content + Array("\r\n".utf8)
    }
    bytes += Array("--b0--\r\n".utf8)
  }

  func cut(to byteCount: Int) -> BodyFixture { BodyFixture(Array(bytes.prefix(byteCount))) }

  func replacing(_ text: String, with other: String, all: Bool = false) -> BodyFixture {
    var result = self
    var from = 0
    while let offset = result.offset(of: Array(text.utf8), from: from) {
      result.bytes.replaceSubrange(offset..<(offset + text.utf8.count), with: Array(other.utf8))
      from = offset + other.utf8.count
      if !all { break }
    }
    return result
  }

  func setting(_ value: [UInt8], at offset: Int) -> BodyFixture {
    var result = self
    result.bytes.replaceSubrange(offset..<(offset + value.count), with: value)
    return result
  }

  func offset(of pattern: [UInt8], from start: Int = 0) -> Int? {
    guard bytes.count >= pattern.count, start <= bytes.count - pattern.count else { return nil }
    return (start...(bytes.count - pattern.count)).first {
      bytes[$0] == pattern[0] && bytes[$0..<($0 + pattern.count)].elementsEqual(pattern)
    }
  }

  /// Where the zip records with a signature start, in their order.
  func offsets(of record: ZipRecord) -> [Int] {
    var found: [Int] = []
    while let next = offset(of: record.rawValue, from: (found.last ?? -1) + 1) {
      found.append(next)
    }
    return found
  }

  enum ZipRecord {
    case local, entry, end
    var rawValue: [UInt8] {
      switch self {
      case .local: [0x50, 0x4B, 3, 4]
      case .entry: [0x50, 0x4B, 1, 2]
      case .end: [0x50, 0x4B, 5, 6]
      }
    }
  }
}

extension BodyFixture {
  func decode(
    as format: BodyFormat = .npz, dimension: Int? = 4, dtype: Dtype? = .float32,
    ids: ExternalIDs? = nil, limits: BodyLimits = BodyLimits(),
    memory: any BodyMemorySource = HeapBodyMemorySource()
  ) throws(BodyError) -> Batch {
    let expectation = BodyExpectation(dimension: dimension, dtype: dtype, limits: limits)
    return try BodyDecoder(expectation: expectation, memory: memory)
      .batch(from: HeapBodyMemory(bytes), format: format, externalIDs: ids)
  }

  /// The error that decoding ends in; a recorded issue when there is none.
  func error(
    as format: BodyFormat = .npz, dimension: Int? = 4, dtype: Dtype? = .float32,
    ids: ExternalIDs? = nil, limits: BodyLimits = BodyLimits(),
    memory: any BodyMemorySource = HeapBodyMemorySource(),
    sourceLocation: SourceLocation = #_sourceLocation
  ) -> BodyError? {
    do throws(BodyError) {
      _ = try decode(
        as: format, dimension: dimension, dtype: dtype, ids: ids, limits: limits, memory: memory)
      Issue.record("decoded", sourceLocation: sourceLocation)
      return nil
    } catch {
      return error
    }
  }
}

extension Batch {
  var idStrings: [String] { (0..<ids.count).map(ids.string) }

  var floats: [Float] {
    stride(from: 0, to: rows.count, by: 4).map {
      rows.loadUnaligned(fromByteOffset: $0, as: Float.self)
    }
  }

  var halves: [UInt16] {
    stride(from: 0, to: rows.count, by: 2).map {
      rows.loadUnaligned(fromByteOffset: $0, as: UInt16.self)
    }
  }
}

/// The rows of the good golden bodies.
let goldenRows: [Float] = (0..<12).map { Float($0) / 4 - 1 }
let goldenIDs = ["a", "größe", "鳥🦜"]

/// A source that never has memory.
struct NoMemory: BodyMemorySource {
  func memory(byteCount: Int) -> (any MutableBodyMemory)? { nil }
}

let formBoundary = BodyFormat.multipart(boundary: Array("b0".utf8))
