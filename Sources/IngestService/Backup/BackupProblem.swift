// Why a backup ended before its end. Exit codes: Sources/ingot/BackupCommand.swift.

package import SystemIO

/// A backup that was not made. What was written until then is completed by running it again.
package enum BackupProblem: Error, Sendable {
  /// A newer format, damaged, in use.
  case store(StoreProblem)
  /// Source or target is not what a backup can be made of or into.
  case refused(path: String, reason: String)
  /// The target holds batches that the source does not: it was served on its own.
  case targetDiffers(path: String, reason: String)
  case disk(DiskError)
  /// Shards were replaced again and again while they were copied.
  case keepsChanging(attemptCount: Int)
  case interrupted
}

extension BackupProblem: CustomStringConvertible {
  package var description: String {
    switch self {
    case .store(let problem): "\(problem)"
    case .refused(let path, let reason): "\(path): \(reason)"
    case .targetDiffers(let path, let reason):
      "\(path): \(reason); nothing was changed. Give another directory, or remove this one if its "
        + "batches are not needed."
    case .disk(let error):
      "\(error)\(error.isOutOfSpace ? "; free space and run it again" : "")"
    case .keepsChanging(let count):
      "the store's shards were replaced while they were copied, \(count) times; run it again"
    case .interrupted: "interrupted; run it again to complete the copy"
    }
  }
}
