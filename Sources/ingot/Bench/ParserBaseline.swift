// How fast simdjson alone parses the rows of a body on one core: what text formats are compared with.

internal import CSimdjson
internal import SystemIO

/// A columns document, parsed again and again on the calling thread.
struct ParserBaseline: Sendable {
  private let bodies: [BenchBody]
  private let shape: BenchShape

  struct Outcome: Sendable {
    let payloadBytesPerSecond: Double
    let bodyBytesPerSecond: Double
  }

  /// - Parameter json: Bodies of the format json.
  init(_ json: [BenchBody], shape: BenchShape) {
    bodies = json
    self.shape = shape
  }

  func run(for duration: Duration) throws(BenchError) -> Outcome {
    let start = MonotonicTime.now
    let deadline = start.advanced(by: duration)
    var count = 0
    var bodyByteCount = 0
    while MonotonicTime.now < deadline {
      let body = bodies[count % bodies.count]
      try parse(body)
      count += 1
      bodyByteCount += body.byteCount
    }
    let seconds = start.duration(to: .now).seconds
    return Outcome(
      payloadBytesPerSecond: Double(count * shape.payloadByteCount) / seconds,
      bodyBytesPerSecond: Double(bodyByteCount) / seconds)
  }

  private func parse(_ body: BenchBody) throws(BenchError) {
    var numberCount = 0
    let status = unsafe body.bytes.withUnsafeBytes { bytes in
      unsafe csimdjson_parse_only(bytes.baseAddress, body.byteCount, bytes.count, &numberCount)
    }
    guard status == CSIMDJSON_OK, numberCount == shape.rowCount * shape.dimension else {
      throw BenchError("simdjson alone read \(numberCount) numbers, status \(status.rawValue)")
    }
  }
}
