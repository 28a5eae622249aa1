// Forms with the parts "ids" and "embeddings". Splitting into parts: MultipartBody.swift.

internal import ShardStore

extension BodyDecoder {
  func multipart(
    _ body: BodyBytes, boundary: [UInt8]
  ) throws(BodyError) -> (Embeddings, IDCollector) {
    let form = try MultipartBody(body, boundary: boundary, limits: expectation.limits)
    let embeddingsPart = try form.part("embeddings")
    let embeddings = try Embeddings(
      NumPyArray(name: "embeddings", file: embeddingsPart.content), expectation: expectation)
    let idsPart = try form.part("ids")
    return (embeddings, try ids(in: idsPart, rowCount: embeddings.rowCount))
  }

  /// Ids as a `.npy` array, as a JSON array, or as lines of text.
  ///
  /// The part's type decides between JSON and text. A part without one is JSON when it starts with
  /// a bracket; a `.npy` array is known by its first bytes, which are not UTF-8, under any type.
  private func ids(in part: MultipartPart, rowCount: Int) throws(BodyError) -> IDCollector {
    var content = part.content
    let mark = IDList.byteOrderMark
    if content.hasBytes(mark, at: 0),
      let rest = content.slice(at: mark.count, byteCount: content.count - mark.count)
    {
      content = rest
    }
    if content[0] == 0x93 {
      return try IDCollector(NumPyArray(name: "ids", file: content), rowCount: rowCount)
    }
    switch part.contentType {
    case "application/json": return try jsonIDs(content)
    case "text/plain": return IDCollector(lines: content, rowCount: rowCount)
    case nil where content[0] == UInt8(ascii: "["): return try jsonIDs(content)
    case nil: return IDCollector(lines: content, rowCount: rowCount)
    default:
      return try IDCollector(NumPyArray(name: "ids", file: content), rowCount: rowCount)
    }
  }

  private func jsonIDs(_ content: BodyBytes) throws(BodyError) -> IDCollector {
    let noRows = HeapBodyMemory(byteCount: 0)
    let reader = try JSONRows(rows: noRows, expectation: expectation)
    try reader.read(ids: content)
    return reader.ids()
  }
}
