// Opens a store for a command, as `ingot serve` does. Used by `ingot salvage` and `ingot reconcile`; the options of
// commands that write to one, also by `ingot import`.

import ArgumentParser
import IngestService
import Logging
import SystemIO

extension IngestService {
  /// Locks, opens and recovers a store.
  ///
  /// - Parameter creates: Makes a store when there is none.
  static func openForCommand(
    root: String, creates: Bool, configuration: ServiceConfiguration = ServiceConfiguration()
  ) throws -> IngestService {
    let (isThere, hasDirectory): (Bool, Bool)
    do throws(DiskError) {
      isThere = try RealDisk().kind(of: root + "/store.json") != nil
      hasDirectory = try RealDisk().kind(of: root) != nil
    } catch {
      throw Failure("\(error)", code: .couldNotRun)
    }
    guard isThere || creates else {
      throw Failure(StoreProblem.noStore(path: root, hasDirectory: hasDirectory))
    }
    var logger = Logger(label: "ingot") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .warning
    do throws(StoreProblem) {
      let lock = try IngestService.lock(root: root)
      return try IngestService.open(
        root: root, configuration: configuration, lock: lock, logger: logger)
    } catch {
      throw Failure(error)
    }
  }
}

extension ServiceConfiguration {
  /// From the options of a command that writes to a store.
  init(shardBytes: String?, diskReserve: String?) throws(ValidationError) {
    self.init()
    if let size = try Self.size("--shard-bytes", shardBytes, in: 4096...(1 << 40)) {
      shardByteCount = size
    }
    if let size = try Self.size("--disk-reserve", diskReserve, in: 0...(1 << 50)) {
      diskReserveByteCount = size
    }
  }

  private static func size(
    _ option: String, _ text: String?, in range: ClosedRange<Int>
  ) throws(ValidationError) -> Int? {
    guard let text else { return nil }
    guard let value = ByteCountText.parse(text), range.contains(value) else {
      throw ValidationError(
        "\(option) takes a size from \(range.lowerBound) to \(range.upperBound), such as 256MiB, not "
          + "'\(text)'")
    }
    return value
  }
}
