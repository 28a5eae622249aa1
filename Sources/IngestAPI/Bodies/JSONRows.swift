// Rows and ids out of JSON text: the only file that calls the simdjson shim. Formats:
// BodyDecoder+JSON.swift.

internal import CSimdjson
internal import ShardStore

/// One pass of the shim over a body, with memory for its rows.
@safe
struct JSONRows: ~Copyable {
  private let decoder: OpaquePointer
  private let memory: BodyBytes
  private let expectation: BodyExpectation
  private let dtype: Dtype

  /// - Parameter rows: Where the rows go. When it is too small, a call throws ``RowsFull``.
  init(rows: any MutableBodyMemory, expectation: BodyExpectation) throws(BodyError) {
    self.expectation = expectation
    dtype = expectation.dtype ?? .float32
    memory = BodyBytes(rows)
    let limits = expectation.limits
    var options = unsafe csimdjson_options(
      number_byte_count: dtype.byteCount, dimension: expectation.dimension ?? 0,
      dimension_max: limits.dimensionMax, row_count_max: limits.rowCountMax,
      depth_max: limits.jsonDepthMax, rows: rows.mutableBytes.baseAddress,
      rows_byte_count_max: rows.bytes.count)
    guard let decoder = unsafe csimdjson_decoder_create(&options) else {
      throw .inFlightFull(needed: memory.count)
    }
    unsafe self.decoder = decoder
  }

  deinit { unsafe csimdjson_decoder_destroy(decoder) }

  private var result: csimdjson_result { unsafe csimdjson_decoder_result(decoder).pointee }

  /// - Returns: False when the rows need more memory than they have.
  func read(document text: BodyBytes) throws(BodyError) -> Bool {
    try check(
      unsafe csimdjson_decode_document(decoder, text.buffer.baseAddress, text.count), line: nil)
  }

  /// - Returns: False when the rows need more memory than they have.
  func read(line text: BodyBytes, number: Int) throws(BodyError) -> Bool {
    try check(
      unsafe csimdjson_decode_line(decoder, text.buffer.baseAddress, text.count), line: number)
  }

  /// Reads an array of ids alone.
  func read(ids text: BodyBytes) throws(BodyError) {
    _ = try check(
      unsafe csimdjson_decode_ids(decoder, text.buffer.baseAddress, text.count), line: nil)
  }

  /// The rows that were read, in place, before any reordering.
  func embeddings() throws(BodyError) -> Embeddings {
    let result = unsafe self.result
    let (rowCount, dimension) = unsafe (result.row_count, result.dimension)
    guard rowCount > 0 else { throw .zeroRows }
    guard let rows = memory.slice(at: 0, byteCount: rowCount * dimension * dtype.byteCount) else {
      preconditionFailure("the decoder wrote \(rowCount) rows beyond its memory")
    }
    return Embeddings(rowCount: rowCount, dimension: dimension, dtype: dtype, rows: rows)
  }

  /// For each row its place, when that is not where it is.
  func order() -> [Int]? {
    let result = unsafe self.result
    guard let order = unsafe result.order else { return nil }
    return unsafe UnsafeBufferPointer(start: order, count: result.row_count).map(Int.init)
  }

  func ids() -> IDCollector {
    let result = unsafe self.result
    var ids = unsafe IDCollector(expecting: result.id_count)
    let bytes = unsafe UnsafeRawBufferPointer(start: result.ids, count: result.ids_byte_count)
    var position = 0
    while position < bytes.count {
      let byteCount = unsafe Int(bytes[position]) | Int(bytes[position + 1]) << 8
      let id = unsafe bytes[(position + 2)..<(position + 2 + byteCount)]
      unsafe ids.append(UnsafeRawBufferPointer(rebasing: id))
      position += 2 + byteCount
    }
    return ids
  }

  private func check(_ status: csimdjson_status, line: Int?) throws(BodyError) -> Bool {
    if status == CSIMDJSON_OK { return true }
    if status == CSIMDJSON_ROWS_FULL { return false }
    throw error(status, line: line)
  }

  private func error(_ status: csimdjson_status, line: Int?) -> BodyError {
    let result = unsafe self.result
    let limits = expectation.limits
    let place = unsafe JSONPlace(
      line: line, offset: Int(exactly: result.error_offset), row: Int(exactly: result.error_row))
    let message = unsafe Self.text(of: result.message)
    switch status {
    case CSIMDJSON_TOO_DEEP: return .jsonTooDeep(max: limits.jsonDepthMax, place)
    case CSIMDJSON_BAD_SHAPE: return .badJSONShape(reason: message, place)
    case CSIMDJSON_DUPLICATE_KEY: return .duplicateKey(key: message, place)
    case CSIMDJSON_BAD_BASE64: return .badBase64(place)
    case CSIMDJSON_BAD_ID_TYPE: return .wrongIDType(found: "another type\(place)")
    case CSIMDJSON_WRONG_DIMENSION:
      return unsafe .wrongDimension(
        found: result.found, expected: result.dimension, row: offender(place.row), place)
    case CSIMDJSON_DIMENSION_TOO_LARGE:
      return unsafe .dimensionTooLarge(found: result.found, max: limits.dimensionMax)
    case CSIMDJSON_TOO_MANY_ROWS:
      return .tooManyRows(found: limits.rowCountMax + 1, max: limits.rowCountMax)
    case CSIMDJSON_BAD_INDEX: return .badRowIndex(reason: message)
    case CSIMDJSON_NO_MEMORY: return .inFlightFull(needed: memory.count)
    default: return .badJSON(reason: message, place)
    }
  }

  /// The row with its id, when that was read before the row.
  private func offender(_ row: Int?) -> Offender? {
    guard let row else { return nil }
    let result = unsafe self.result
    let bytes = unsafe UnsafeRawBufferPointer(start: result.ids, count: result.ids_byte_count)
    var position = 0
    for _ in 0..<row where position < bytes.count {
      position += 2 + (unsafe Int(bytes[position]) | Int(bytes[position + 1]) << 8)
    }
    guard position < bytes.count else { return Offender(index: row, id: nil) }
    let byteCount = unsafe Int(bytes[position]) | Int(bytes[position + 1]) << 8
    let id = unsafe bytes[(position + 2)..<(position + 2 + byteCount)]
    return Offender(index: row, id: unsafe String(decoding: id, as: UTF8.self))
  }

  private static func text<Characters>(of characters: Characters) -> String {
    unsafe withUnsafeBytes(of: characters) { bytes in
      unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
  }
}
