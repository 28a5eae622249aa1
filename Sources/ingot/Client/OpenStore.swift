// Opens a store for a command, as `ingot serve` does. Used by `ingot salvage` and `ingot reconcile`.

import ArgumentParser
import IngestService
import Logging
import SystemIO

extension IngestService {
  /// Locks, opens and recovers a store.
  ///
  /// - Parameter creates: Makes a store when there is none.
  static func openForCommand(root: String, creates: Bool) throws -> IngestService {
    let isThere: Bool
    do throws(DiskError) { isThere = try RealDisk().kind(of: root + "/store.json") != nil } catch {
      throw Failure("\(error)", code: .couldNotRun)
    }
    guard isThere || creates else {
      throw Failure("\(root) is not a store: it has no store.json", code: .couldNotRun)
    }
    var logger = Logger(label: "ingot") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .warning
    do throws(StoreProblem) {
      let lock = try IngestService.lock(root: root)
      return try IngestService.open(
        root: root, configuration: ServiceConfiguration(), lock: lock, logger: logger)
    } catch {
      throw Failure(error)
    }
  }
}

extension Failure {
  /// - Parameter doing: What was to be stored or read.
  init(ingest error: IngestError, doing: String) {
    switch error {
    case .diskFull(let needed, let free, let reason):
      self.init(
        "the disk is full (\(reason)): \(needed) bytes are needed, \(free) are free; what was stored is kept; "
          + "make room and run the same command again", code: .couldNotRun)
    case .shapeDiffers(let expected, let found):
      self.init("the collection expects \(expected), found \(found)", code: .inputUnusable)
    case .collectionDiffers(let text):
      self.init("\(text), found \(doing); give another --collection", code: .inputUnusable)
    case .storageFailed(let text):
      self.init(
        "\(doing) could not be stored or read: \(text); what was stored is kept; run the same command again",
        code: .couldNotRun)
    case .inFlightLimit, .keyReused, .draining, .collectionUnknown, .collectionNameInvalid:
      self.init("\(doing) was refused: \(error)", code: .couldNotRun)
    }
  }
}
