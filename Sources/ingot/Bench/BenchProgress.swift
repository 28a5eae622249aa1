// Lines about what is going on, for somebody who sits in front of it.

/// Writes to standard error when that is a terminal, and otherwise not at all.
struct BenchProgress: Sendable {
  func say(_ line: String) {
    if StandardError.isTerminal { StandardError.write(line: "ingot bench: \(line)") }
  }
}
