// What an import will store, checked before anything is stored: shapes, types, counts of ids, archives.

import IngestAPI
import ShardStore
import SystemIO

/// What rows of a collection are.
struct CollectionShape: Equatable, Sendable, CustomStringConvertible {
  let dimension: Int
  let dtype: Dtype

  var description: String { "dimension \(dimension) and dtype \(dtype.name)" }
}

struct ImportPlan: Sendable {
  let sources: [ImportSource]
  let shape: CollectionShape

  var rowCount: Int { sources.reduce(0) { $0 + $1.rowCount } }
  /// Of all rows as they are stored.
  var byteCount: Int { rowCount * shape.dimension * shape.dtype.byteCount }

  /// Batches of so many bytes of rows are large enough for the disk and small enough for a server's memory.
  private static let batchByteCount = 4 << 20
  private static let batchRowCountMax = 1 << 16

  /// Follows from the shape alone, so that a second run makes the same batches.
  var defaultBatchRowCount: Int {
    max(
      1,
      min(Self.batchRowCountMax, Self.batchByteCount / (shape.dimension * shape.dtype.byteCount)))
  }
}

extension ImportPlan {
  /// Opens every source once. Archives are read to their ends, since only there it shows whether they are whole.
  ///
  /// - Parameters:
  ///   - target: What numbers are to become; nil stores them as they are.
  ///   - existing: The shape of the collection, when it is there.
  ///   - progress: Told of bytes of archives as they are checked.
  init(
    checking sources: [ImportSource], target: Dtype?, existing: CollectionShape?,
    progress: ProgressBar
  ) throws(Failure) {
    var checked: [ImportSource] = []
    var shape = existing
    var nextID: UInt64?
    for source in sources {
      var source = source
      if case .integers(let first) = source.ids {
        source.ids = .integers(first: nextID ?? first)
      }
      try source.check(progress)
      let found = try source.shape(target: target)
      if let shape, shape != found { throw Self.differs(source, found, shape, existing, checked) }
      shape = found
      if case .integers(let first) = source.ids { nextID = try source.idBehind(first) }
      checked.append(source)
    }
    guard let shape else { throw Failure("there is no source", code: .inputUnusable) }
    self.sources = checked
    self.shape = shape
  }

  private static func differs(
    _ source: ImportSource, _ found: CollectionShape, _ expected: CollectionShape,
    _ existing: CollectionShape?, _ checked: [ImportSource]
  ) -> Failure {
    let other = existing == nil ? checked.first?.path ?? "" : "the collection"
    let help =
      found.dimension == expected.dimension
      ? "run again with --convert \(expected.dtype.name)"
      : "a collection holds rows of one dimension: import into another one"
    return Failure(
      "\(source.path) has \(found) and \(other) has \(expected); nothing was stored: \(help)",
      code: .inputUnusable)
  }
}

extension ImportSource {
  /// Looks at headers, counts ids, and reads an archive through.
  fileprivate mutating func check(_ progress: ProgressBar) throws(Failure) {
    let open = try OpenSource(self)
    rowCount = open.rowCount
    dimension = open.dimension
    descr = open.descr
    if case .text(let idsPath) = ids {
      let count = try LineReader(path: idsPath).countLines()
      guard count == rowCount else {
        throw Failure(
          "\(idsPath) has \(count) lines and \(path) has \(rowCount) rows; expected one id per row",
          code: .inputUnusable)
      }
    }
    guard isArchive else { return }
    var done = 0
    let total = open.form.dataByteCount
    try open.readToEnd { count in
      done += count
      progress.show(byteCount: done, of: total)
    }
  }

  fileprivate func shape(target: Dtype?) throws(Failure) -> CollectionShape {
    guard let number = SourceNumber(descr: descr) else {
      throw Failure(
        "\(path) has numbers of type \(descr); expected float32, float16 or, with --convert, float64",
        code: .inputUnusable)
    }
    guard let dtype = target ?? number.dtype else {
      throw Failure(
        "\(path) has \(number.name) numbers, and collections store little-endian float32 or float16: "
          + "run again with --convert float32", code: .inputUnusable)
    }
    return CollectionShape(dimension: dimension, dtype: dtype)
  }

  /// The id that follows those of this source.
  fileprivate func idBehind(_ first: UInt64) throws(Failure) -> UInt64 {
    let (next, overflow) = first.addingReportingOverflow(UInt64(rowCount))
    guard !overflow else {
      throw Failure(
        "--first-id: \(first) and \(rowCount) rows go beyond \(UInt64.max)", code: .inputUnusable)
    }
    return next
  }
}
