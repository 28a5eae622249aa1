// Standard input, output and error of every command; nothing else writes to them but the log (swift-log, by way of
// the C library, which drops what cannot be written).

import ArgumentParser
import Foundation
import SystemIO

/// Descriptors 0 to 2.
enum StandardStreams {
  /// Takes the places of those that are closed, so that no file that is opened later becomes one of them and gets
  /// messages between its bytes. Writing to such a place is an error still. Called before anything is opened.
  static func fillMissing() {
    for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) < 0 {
      // The lowest free number is given out. Source: man 2 open.
      guard unsafe open("/dev/null", O_RDONLY) == number else {
        _exit(ExitCode.couldNotRun.rawValue)
      }
    }
  }

  fileprivate static func write(
    _ bytes: UnsafeRawBufferPointer, to number: Int32, named name: String
  ) throws(DiskError) {
    var done = 0
    while done < bytes.count {
      let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[done...])
      let count = unsafe Glibc.write(number, rest.baseAddress, rest.count)
      if count > 0 {
        done += count
      } else if errno != EINTR {
        throw .last("write", name)
      }
    }
  }
}

/// What a command was asked for: that it cannot be written is an error.
enum StandardOutput {
  @safe
  static func write(_ bytes: UnsafeRawBufferPointer) throws(DiskError) {
    try unsafe StandardStreams.write(bytes, to: STDOUT_FILENO, named: "standard output")
  }

  static func write(_ text: String) throws(Failure) {
    var failure: DiskError?
    unsafe Array(text.utf8).withUnsafeBytes { bytes in
      do throws(DiskError) { try write(bytes) } catch { failure = error }
    }
    if let failure { throw Failure("\(failure)", code: .couldNotRun) }
  }
}

/// What is said besides: nothing ends because it cannot be written.
enum StandardError {
  static let isTerminal = isatty(STDERR_FILENO) == 1

  static func write(_ text: String) {
    unsafe Array(text.utf8).withUnsafeBytes { bytes in
      try? unsafe StandardStreams.write(bytes, to: STDERR_FILENO, named: "standard error")
    }
  }

  static func write(line: String) { write(line + "\n") }
}
