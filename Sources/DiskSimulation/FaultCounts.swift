// How often each fault was injected, for the table in docs/durability.md. Tests/fault_counts.py does the same in Python.

internal import Foundation

/// Appends to the file that `INGOT_FAULT_COUNTS` names; without it nothing is kept.
package enum FaultCounts {
  /// - Parameters:
  ///   - faults: Names from docs/durability.md, such as `A6`.
  ///   - violations: Promises that were found broken.
  package static func record(
    _ faults: [String], test: String, injections: Int, violations: Int
  ) {
    guard let path = ProcessInfo.processInfo.environment["INGOT_FAULT_COUNTS"] else { return }
    let lines = faults.map { "\($0)\t\(test)\t\(injections)\t\(violations)\t\n" }.joined()
    // Appended with one call, since tests run beside each other.
    guard let file = unsafe fopen(path, "a") else { return }
    _ = unsafe fwrite(lines, 1, lines.utf8.count, file)
    unsafe fclose(file)
  }
}
