// json and ndjson bodies. Numbers are written as Python's json.dumps(rows.tolist()) writes them: the
// shortest text of the float32 as a double, about 20 digits.

extension BenchBody {
  static func json(_ rows: [Float], _ shape: BenchShape) -> ([UInt8], IDPlaces) {
    var text = #"{"ids":["#.utf8Bytes
    var offsets: [Int] = []
    for row in 0..<shape.rowCount {
      if row > 0 { text.append(UInt8(ascii: ",")) }
      offsets.append(text.appendID())
    }
    text.append(contentsOf: #"],"embeddings":["#.utf8)
    for row in 0..<shape.rowCount {
      if row > 0 { text.append(UInt8(ascii: ",")) }
      text.appendNumbers(rows, row: row, dimension: shape.dimension)
    }
    text.append(contentsOf: "]}".utf8)
    return (text, .digits(offsets: offsets))
  }

  static func ndjson(_ rows: [Float], _ shape: BenchShape) -> ([UInt8], IDPlaces) {
    var text: [UInt8] = []
    var offsets: [Int] = []
    for row in 0..<shape.rowCount {
      text.append(contentsOf: #"{"id":"#.utf8)
      offsets.append(text.appendID())
      text.append(contentsOf: #","embedding":"#.utf8)
      text.appendNumbers(rows, row: row, dimension: shape.dimension)
      text.append(contentsOf: "}\n".utf8)
    }
    return (text, .digits(offsets: offsets))
  }
}

extension String {
  fileprivate var utf8Bytes: [UInt8] { Array(utf8) }
}

extension [UInt8] {
  /// A quoted id of zeros; returns where its digits are.
  fileprivate mutating func appendID() -> Int {
    append(UInt8(ascii: "\""))
    let offset = count
    append(contentsOf: repeatElement(UInt8(ascii: "0"), count: BenchBody.idDigitCount))
    append(UInt8(ascii: "\""))
    return offset
  }

  fileprivate mutating func appendNumbers(_ rows: [Float], row: Int, dimension: Int) {
    append(UInt8(ascii: "["))
    for index in (row * dimension)..<((row + 1) * dimension) {
      if index > row * dimension { append(UInt8(ascii: ",")) }
      append(contentsOf: Double(rows[index]).description.utf8)
    }
    append(UInt8(ascii: "]"))
  }
}
