// The date format of HTTP, IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT`. Source: RFC 9110 section
// 5.6.7.

package enum HTTPDate {
  private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  /// - Parameter seconds: Seconds since 1970, not negative.
  package static func format(secondsSince1970 seconds: Int) -> String {
    let dayCount = seconds / 86400
    let second = seconds % 86400
    let (year, month, day) = date(ofDay: dayCount)
    let time = "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60))"
    return "\(days[dayCount % 7]), \(two(day)) \(months[month - 1]) \(year) \(time) GMT"
  }

  /// Counts from 1 March of year 0, so that the leap day is the last of its year.
  private static func date(ofDay dayCount: Int) -> (year: Int, month: Int, day: Int) {
    let shifted = dayCount + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
  }

  private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
