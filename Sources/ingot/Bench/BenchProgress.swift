// Lines about what is going on, for somebody who sits in front of it.

internal import Foundation

/// Writes to standard error when that is a terminal, and otherwise not at all.
struct BenchProgress: Sendable {
  private let isShown = isatty(STDERR_FILENO) == 1

  func say(_ line: String) {
    if isShown { FileHandle.standardError.write(Data("ingot bench: \(line)\n".utf8)) }
  }
}
