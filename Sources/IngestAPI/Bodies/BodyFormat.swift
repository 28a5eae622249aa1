// Which decoder a Content-Type asks for.

/// The formats that bodies come in.
package enum BodyFormat: Sendable, Equatable {
  /// `numpy.savez` or `numpy.savez_compressed` of `ids` and `embeddings`.
  case npz
  /// `numpy.save` of the rows; the ids come beside the body.
  case npy
  /// Parts `ids` and `embeddings`.
  case multipart(boundary: [UInt8])
  case json
  /// One row per line.
  case ndjson

  /// RFC 2046 section 5.1.1.
  package static let boundaryByteCountMax = 70

  /// - Parameter contentType: A `Content-Type` value. Parameters other than the boundary are
  ///   ignored; nothing is guessed from the body, so `application/octet-stream` is refused.
  package init(contentType: String) throws(BodyError) {
    guard let value = HeaderParameters(contentType) else {
      throw .unsupportedMediaType(found: contentType)
    }
    switch value.name {
    case "application/x-npz": self = .npz
    case "application/x-npy": self = .npy
    case "application/json": self = .json
    case "application/x-ndjson": self = .ndjson
    case "multipart/form-data":
      guard let boundary = value["boundary"], Self.isBoundary(boundary) else {
        throw .missingBoundary
      }
      self = .multipart(boundary: Array(boundary.utf8))
    default: throw .unsupportedMediaType(found: contentType)
    }
  }

  private static func isBoundary(_ text: String) -> Bool {
    let allowed = "'()+_,-./:=? ".utf8
    return (1...boundaryByteCountMax).contains(text.utf8.count) && text.utf8.last != 0x20
      && text.utf8.allSatisfy { byte in
        let scalar = Unicode.Scalar(byte)
        return scalar.properties.isAlphabetic && scalar.isASCII || (48...57).contains(byte)
          || allowed.contains(byte)
      }
  }
}
