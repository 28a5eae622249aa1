// The header fields of a message: in order, duplicates kept, names without regard to case.

/// A list rather than a dictionary: whether a field came twice is what the framing rules ask.
package struct HTTPFields: Sendable, Equatable {
  package struct Field: Sendable, Equatable {
    package let name: String
    package let value: String
  }

  package private(set) var all: [Field] = []

  package init() {}

  package init(_ fields: [(name: String, value: String)]) {
    all = fields.map { Field(name: $0.name, value: $0.value) }
  }

  package var count: Int { all.count }

  package func first(_ name: String) -> String? {
    all.first { Self.isSameName($0.name, name) }?.value
  }

  /// Every value of that name, in the order of arrival.
  package func all(_ name: String) -> [String] {
    all.filter { Self.isSameName($0.name, name) }.map(\.value)
  }

  /// The elements of a comma-separated field, over all of its lines, without blanks around them.
  package func list(_ name: String) -> [String] {
    all(name).flatMap { value in
      value.utf8.split(separator: ByteClass.comma, omittingEmptySubsequences: false).map { part in
        let bytes = Array(part)
        return bytes.span.extracting(bytes.span.trimmedRange()).text
      }
    }
  }

  package mutating func append(_ name: String, _ value: String) {
    all.append(Field(name: name, value: value))
  }

  /// Replaces every field of that name by one.
  package mutating func set(_ name: String, _ value: String) {
    all.removeAll { Self.isSameName($0.name, name) }
    append(name, value)
  }

  /// Equality of ASCII names without regard to case; also for tokens such as `close`.
  package static func isSameName(_ left: String, _ right: String) -> Bool {
    left.utf8.count == right.utf8.count
      && left.utf8.elementsEqual(right.utf8) {
        ByteClass.lowercased($0) == ByteClass.lowercased($1)
      }
  }
}
