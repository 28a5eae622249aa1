// Reports as text: one figure a line.

internal import Foundation

/// A report that can be printed either way.
protocol BenchReport: Encodable {
  var text: String { get }
  /// Everything was acknowledged.
  var isComplete: Bool { get }
}

extension BenchReport {
  /// The same figures as one JSON object.
  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}

/// Lines of a label and a value, the values below each other.
struct BenchLines {
  private(set) var text: String

  private static let labelWidth = 26

  init(title: String) { text = title }

  mutating func add(_ label: String, _ value: String) {
    let padding = String(repeating: " ", count: max(1, Self.labelWidth - label.count))
    text += "\n  \(label)\(padding)\(value)"
  }
}

extension Double {
  /// With so many digits behind the point.
  func text(_ digitCount: Int) -> String { String(format: "%.\(digitCount)f", self) }
}

extension [Double] {
  /// The median and what the values lie between.
  func spread(_ digitCount: Int) -> String {
    let (least, most) = (self.min() ?? 0, self.max() ?? 0)
    return "median \(median.text(digitCount)), "
      + "\(least.text(digitCount)) to \(most.text(digitCount)) in \(count) turns"
  }
}

extension Int {
  /// Bytes as MiB.
  fileprivate var mebibytes: String { (Double(self) / Double(1 << 20)).text(1) + " MiB" }
}

extension BenchConditions {
  var text: String {
    "\(format), \(connections) connections, batches of \(rows) x \(dimension) float32"
  }
}

extension ThroughputReport: BenchReport {
  var isComplete: Bool { failures.isEmpty && batches > 0 }

  var text: String {
    var lines = BenchLines(title: "\(conditions.text), \(seconds.text(1)) s")
    lines.add("rows/s", rowsPerSecond.text(0))
    lines.add("payload MB/s", payloadMBPerSecond.text(1))
    lines.add("batches", "\(batches)")
    if let latency = acknowledgementMilliseconds {
      lines.add(
        "acknowledged after",
        "p50 \(latency.p50.text(2)), p99 \(latency.p99.text(2)), max \(latency.max.text(2)) ms")
    }
    if let first = batchMillisecondsFirstTenth, let last = batchMillisecondsLastTenth {
      lines.add(
        "time per batch", "first tenth \(first.text(3)) ms, last tenth \(last.text(3)) ms")
    }
    lines.add("refusals", "\(refusals)")
    lines.add("errors", failures.isEmpty ? "0" : failureText)
    if let floor {
      lines.add("bare server, MB/s", floor.payloadMBPerSecond.spread(1))
      lines.add("Ingot in turn with it", floor.ingotPayloadMBPerSecond.spread(1))
      lines.add("Ingot / bare server", floor.ratios.spread(3))
    }
    if let parser, let bodyMegabytes = parserBodyMBPerSecond {
      lines.add("simdjson alone, MB/s", parser.payloadMBPerSecond.spread(1))
      lines.add("  MB/s of body", "median " + bodyMegabytes.text(1))
      lines.add("Ingot / simdjson alone", parser.ratios.spread(3))
    }
    if let memory = serverMemory {
      lines.add("peak memory, not mapped", memory.privateByteCount.mebibytes)
      lines.add("peak mapped files", memory.mappedByteCount.mebibytes)
      lines.add("peak memory (VmHWM)", memory.residentByteCount.mebibytes)
    }
    return lines.text
  }

  private var failureText: String {
    failures.sorted { $0.key < $1.key }.map { "\($0.value) x \($0.key)" }.joined(separator: ", ")
  }
}
