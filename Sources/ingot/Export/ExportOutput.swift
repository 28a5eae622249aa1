// Where the bytes of an export go: a file that gets its name at the end, or standard output.

import ArgumentParser
import Foundation
import IngestService
import SystemIO

final class ExportOutput {
  /// Nil for standard output.
  private let file: PartialFile?
  private let interruption: Interruption
  private(set) var byteCount = 0

  /// - Parameters:
  ///   - path: nil for standard output.
  ///   - replaces: A file that is there is replaced at the end.
  init(_ path: String?, replaces: Bool, _ interruption: Interruption) throws(Failure) {
    self.interruption = interruption
    guard let path else {
      file = nil
      return
    }
    do throws(DiskError) {
      file = try PartialFile(path, replaces: replaces)
    } catch {
      throw Failure(writing: path, error)
    }
    interruption.begin(PartialFile.partialPath(of: path))
  }

  deinit { if let file { interruption.end(file.partialPath) } }

  var path: String? { file?.path }

  /// Whether ``restart()`` can be.
  var canRestart: Bool { file != nil || byteCount == 0 }

  /// Reserves room, so that a disk that is too small is known before anything is written.
  func reserve(byteCount: Int?) throws(DiskError) {
    guard let file, let byteCount, byteCount > 0 else { return }
    try file.reserve(byteCount: byteCount)
  }

  @safe
  func write(_ bytes: UnsafeRawBufferPointer) throws(DiskError) {
    if let file {
      try file.write(bytes)
    } else {
      try StandardOutput.write(bytes)
    }
    byteCount += bytes.count
  }

  func restart() throws(DiskError) {
    try file?.restart()
    byteCount = 0
  }

  /// Makes what was written durable.
  func sync() throws(DiskError) { try file?.sync() }

  func takeName() throws(DiskError) {
    guard let file else { return }
    try file.takeName()
    interruption.end(file.partialPath)
  }
}

extension Failure {
  /// Why a file could not be written, and what helps.
  init(writing path: String, _ error: DiskError) {
    let advice =
      if error.isOutOfSpace {
        "; nothing is left of it: make room, or write to another disk"
      } else if error.isLockedByAnother {
        "; another export is writing \(path)"
      } else if error.isAlreadyThere {
        "; --force replaces it"
      } else {
        ""
      }
    self.init("cannot write \(path): \(error)\(advice)", code: .couldNotRun)
  }
}
