// Why a body is refused. Status, code and offenders: BodyError+Problem.swift. Text:
// BodyError+Detail.swift.

package import ShardStore

/// The caller's fault: a body that is not a batch of the collection that it was sent to.
package enum BodyError: Error, Sendable, Equatable {
  // The request around the body.
  case unsupportedMediaType(found: String)
  case missingBoundary
  case badDigestHeader(reason: String)
  case digestMismatch(algorithm: String, expected: String, found: String)
  case badIDsHeader(reason: String)
  case missingIDs
  case unexpectedIDs

  // The container.
  case brokenZip(reason: String)
  case unsupportedZip(reason: String)
  case memberChecksum(member: String, expected: UInt32, found: UInt32)
  case brokenMultipart(reason: String)
  case tooManyMembers(found: Int, max: Int)
  case duplicateMember(name: String)
  case missingMember(name: String, found: [String])
  case brokenNumPy(member: String, NumPyHeaderError)
  case truncatedMember(member: String, expected: Int, found: Int)
  case trailingBytes(member: String, expected: Int, found: Int)
  case badJSON(reason: String, JSONPlace)
  case jsonTooDeep(max: Int, JSONPlace)
  case badJSONShape(reason: String, JSONPlace)
  case duplicateKey(key: String, JSONPlace)
  case badBase64(JSONPlace)
  case badRowIndex(reason: String)

  // How much there is.
  case tooLargeDecoded(needed: Int?, max: Int)
  case tooManyRows(found: Int, max: Int)
  case inFlightFull(needed: Int)

  // The arrays.
  case objectDtype(member: String)
  case structuredDtype(member: String)
  case wrongDtype(member: String, found: String, expected: Dtype?)
  case wrongByteOrder(member: String, found: String)
  case wrongIDType(found: String)
  /// Where an array of ids can only be one of integers.
  case noIntegerIDs(dtype: String)
  case fortranOrder(member: String)
  case wrongRank(member: String, found: [Int], expected: Int)
  case zeroRows
  case zeroDimension
  case dimensionTooLarge(found: Int, max: Int)
  case wrongDimension(found: Int, expected: Int, row: Offender?, JSONPlace?)
  case nonFinite(Offenders)

  // The ids.
  case emptyID(Offenders)
  case idTooLong(Offenders)
  case idNotUTF8(Offenders)
  case duplicateID(Offenders)
  case idListTooLong(byteCountMax: Int)
  case idCountMismatch(idCount: Int, rowCount: Int)
}

/// Where in a JSON body something is wrong.
package struct JSONPlace: Sendable, Equatable {
  /// The line of an ndjson body, from 1; `nil` for one document.
  package var line: Int?
  /// Bytes before it, in the document or the line, from 0; `nil` when it is not known.
  package var offset: Int?
  /// The row, from 0; `nil` outside of rows.
  package var row: Int?
}

/// A row that a batch is refused for.
package struct Offender: Sendable, Equatable {
  /// The row within the batch, from 0.
  package let index: Int
  /// `nil` when the id cannot be told.
  package let id: String?
}

/// The rows that a batch is refused for.
package struct Offenders: Sendable, Equatable {
  package static let listedCountMax = 100

  /// The first ``listedCountMax``, in row order.
  package private(set) var listed: [Offender] = []
  /// How many there are.
  package private(set) var count = 0

  mutating func add(index: Int, id: @autoclosure () -> String?) {
    count += 1
    if listed.count < Self.listedCountMax { listed.append(Offender(index: index, id: id())) }
  }

  /// Counts the rows from further up.
  mutating func shift(by firstRow: Int) {
    listed = listed.map { Offender(index: $0.index + firstRow, id: $0.id) }
  }
}
