// GET /files/{collection}/ and …/{name}: shards as .npy files over HTTP, read-only.
// Ranges and conditions: HTTPCore/ByteRange.swift, Preconditions.swift. Bytes: ShardFile.swift.

internal import HTTPCore
internal import HTTPServer
internal import IngestService
internal import ShardStore

extension IngestAPI {
  private static let fileSuffix = ".npy"

  /// The index: a page of links that browsers, `wget -r` and fsspec understand.
  func listFiles(_ call: Call) -> (any BodyReceiver)? {
    withCollection(call) { collection in
      guard call.head.path.hasSuffix("/") else {
        // Links are relative, so that they hold behind a proxy with a prefix.
        return Response(
          status: 301, fields: HTTPFields([("Location", collection.name + "/")]))
      }
      return Response(
        status: 200, fields: HTTPFields([("Content-Type", "text/html; charset=utf-8")]),
        body: .bytes(Array(Self.page(of: collection).utf8)))
    }
  }

  private static func page(of collection: Collection) -> String {
    var items: [(number: Int, html: String)] = collection.shards.map { shard in
      let number = shard.identity.number
      let name = ShardIdentity.directoryName(number) + fileSuffix
      return (number, "<a href=\"\(name)\">\(name)</a> \(shard.rowCount) rows")
    }
    items += collection.unusableShards.map { number, reason in
      let name = ShardIdentity.directoryName(number) + fileSuffix
      return (number, "\(name): cannot be opened: \(HTML.escaped(reason))")
    }
    let lines = items.sorted { $0.number < $1.number }.map { "<li>\($0.html)\n" }.joined()
    let title = HTML.escaped(collection.name)
    return """
      <!DOCTYPE html>
      <title>\(title)</title>
      <h1>\(title)</h1>
      <p>\(collection.dimension) numbers of \(collection.dtype.name) per row.
      <ul>
      \(lines)</ul>

      """
  }

  /// One shard, whole or in part.
  func getFile(_ call: Call) -> (any BodyReceiver)? {
    withCollection(call) { collection throws(RequestRefused) in
      let file = ShardFile(try Self.shard(call.parameter("name"), in: collection))
      let fields = HTTPFields([
        ("Content-Type", "application/x-npy"), ("Accept-Ranges", "bytes"),
        ("ETag", file.entityTag),
      ])
      switch Preconditions(call.head.fields, entityTag: file.entityTag) {
      case .failed:
        throw RequestRefused(
          Problem(
            status: 412, code: "precondition-failed",
            detail: "the file is \(file.entityTag) now and none of If-Match; get it anew",
            fields: [("ETag", file.entityTag)]))
      case .notModified: return Response(status: 304, fields: fields)
      case .proceed: return try Self.response(for: call.head, file, fields: fields)
      }
    }
  }

  private static func response(
    for head: RequestHead, _ file: ShardFile, fields: HTTPFields
  ) throws(RequestRefused) -> Response {
    let mayBePart =
      head.method == "GET"
      && Preconditions.allowsRange(head.fields, entityTag: file.entityTag)
    var fields = fields
    var status = 200
    var range = 0..<file.byteCount
    switch mayBePart ? ByteRange(head.fields, byteCount: file.byteCount) : .whole {
    case .whole: break
    case .part(let part):
      (status, range) = (206, part)
      fields.set(
        "Content-Range",
        "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(file.byteCount)")
    case .unsatisfiable:
      throw RequestRefused(
        Problem(
          status: 416, code: "range-not-satisfiable",
          detail: "the file has \(file.byteCount) bytes; the range lies behind them",
          fields: [("Content-Range", "bytes */\(file.byteCount)"), ("ETag", file.entityTag)]))
    }
    do throws(RowDamaged) {
      return Response(status: status, fields: fields, body: .producer(try file.producer(of: range)))
    } catch {
      throw RequestRefused(Problem(error))
    }
  }

  /// - Throws: 404 for a name that is no shard's, 500 for a shard that cannot be opened.
  private static func shard(
    _ name: String, in collection: Collection
  ) throws(RequestRefused) -> Shard {
    let number =
      name.hasSuffix(fileSuffix)
      ? ShardIdentity.number(ofDirectoryName: String(name.dropLast(fileSuffix.count))) : nil
    if let number {
      if let shard = collection.shards.first(where: { $0.identity.number == number }) {
        return shard
      }
      if let reason = collection.unusableShards[number] {
        throw RequestRefused(Problem(RowDamaged(shard: number, rows: 0..<0, reason: reason)))
      }
    }
    throw RequestRefused(
      Problem(
        status: 404, code: "file-unknown",
        detail: "collection \(collection.name) has no file '\(name.prefix(80))'; "
          + "GET /files/\(collection.name)/ lists what there is"))
  }
}

private enum HTML {
  /// Text that stands for itself between tags and in attributes.
  static func escaped(_ text: String) -> String {
    text.reduce(into: "") { result, character in
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      default: result.append(character)
      }
    }
  }
}
