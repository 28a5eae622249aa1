// How far long work is, on standard error. Used by every command that reads or writes a lot.

import Foundation
import SystemIO

/// A bar on a terminal; elsewhere, when it was asked for, a plain line now and then.
final class ProgressBar {
  private let command: String
  private let isTerminal = StandardError.isTerminal
  private let isAsked: Bool
  private let began = MonotonicTime.now
  private var shownAt = MonotonicTime.now
  private var isShown = false

  private static let barInterval = Duration.milliseconds(100)
  private static let lineInterval = Duration.seconds(10)
  private static let width = 30

  /// - Parameters:
  ///   - command: As it was called, such as `ingot verify`; starts every plain line.
  ///   - isAsked: The flag `--progress`: lines are printed where standard error is no terminal, too.
  init(_ command: String, isAsked: Bool) {
    self.command = command
    self.isAsked = isAsked
  }

  func show(byteCount: Int, of total: Int) {
    guard isTerminal || isAsked, total > 0 else { return }
    let now = MonotonicTime.now
    guard shownAt.duration(to: now) >= (isTerminal ? Self.barInterval : Self.lineInterval) else {
      return
    }
    shownAt = now
    isShown = true
    let fraction = min(1, Double(byteCount) / Double(total))
    let speed = Double(byteCount) / began.duration(to: now).seconds
    let left = Int(Double(total - byteCount) / max(speed, 1))
    let numbers =
      "\(Int(fraction * 100)) %, \((speed / 1e6).rounded(digits: 0)) MB/s, \(left) s left"
    if isTerminal {
      let filled = Int(fraction * Double(Self.width))
      let bar =
        String(repeating: "#", count: filled) + String(repeating: ".", count: Self.width - filled)
      StandardError.write("\r[\(bar)] \(numbers)\u{1B}[K")
    } else {
      StandardError.write(line: "\(command): \(numbers)")
    }
  }

  /// For work whose end is not known.
  func show(count: Int, _ what: String) {
    guard isTerminal || isAsked else { return }
    let now = MonotonicTime.now
    guard shownAt.duration(to: now) >= (isTerminal ? Self.barInterval : Self.lineInterval) else {
      return
    }
    shownAt = now
    isShown = true
    if isTerminal {
      StandardError.write("\r\(count) \(what)\u{1B}[K")
    } else {
      StandardError.write(line: "\(command): \(count) \(what)")
    }
  }

  /// Clears the bar, so that what is printed next stands alone.
  func end() {
    guard isTerminal, isShown else { return }
    StandardError.write("\r\u{1B}[K")
  }
}
