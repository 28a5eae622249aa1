// What to measure, checked. Made by BenchCommand.swift from its flags.

internal import SystemIO

struct BenchSettings: Sendable {
  var shape: BenchShape
  var connectionCount: Int
  var duration: Duration
  var hasFloor: Bool
  var collection: String
  var sendsKeys: Bool
  /// A running server; nil starts one.
  var url: ServerAddress?
  /// More flags for a server that is started.
  var serverFlags: [String]
  /// Rows to store before anything is measured.
  var fillRowCount: Int

  /// What is compared takes turns of about this length, so that a drift of the machine meets all of it:
  /// rented disks slow down to a third once they have used up their burst.
  private static let turnSeconds = 0.5
  private static let roundCounts = 3...41
  /// Sent before the clock starts, as a part of the duration and at most so long.
  static let warmUpPart = 0.1
  static let warmUpMax = Duration.seconds(1)
  /// Bytes of rows in a batch that only fills the store.
  static let fillBatchByteCount = 4 << 20

  var comparesParser: Bool { shape.format.isText }
  /// One long stretch when there is nothing to compare with.
  var roundCount: Int {
    guard hasFloor || comparesParser else { return 1 }
    let count = Int(duration.seconds / Self.turnSeconds)
    return min(max(count, Self.roundCounts.lowerBound), Self.roundCounts.upperBound)
  }
  var roundDuration: Duration { duration / roundCount }
  var warmUpDuration: Duration { min(duration * Self.warmUpPart, Self.warmUpMax) }

  func target(_ address: ServerAddress, format: BenchFormat) -> HTTPTarget {
    HTTPTarget(
      address: address, collection: collection, mediaType: format.mediaType, sendsKeys: sendsKeys)
  }
}
