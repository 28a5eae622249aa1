// Times for people: in notes, receipts and answers.

internal import Foundation

package enum WallClock {
  /// RFC 3339 in UTC with nanoseconds. A clock before 1970 gives 1970.
  package static func text(nanoseconds: Int64) -> String {
    let (seconds, rest) = max(0, nanoseconds).quotientAndRemainder(dividingBy: 1_000_000_000)
    let date = Date(timeIntervalSince1970: Double(seconds))
    let digits = String(rest)
    let fraction = String(repeating: "0", count: 9 - digits.count) + digits
    return date.formatted(.iso8601).replacing("Z", with: ".\(fraction)Z")
  }
}
