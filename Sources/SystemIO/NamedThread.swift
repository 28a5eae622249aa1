// A thread with a name that `top -H` and `perf` show.

internal import CLinux
internal import Glibc

/// Runs a closure on a thread of its own; joined by ``join()`` or left alone.
package final class NamedThread: Sendable {
  private let thread: pthread_t

  /// - Parameters:
  ///   - name: At most 15 bytes are kept.
  ///   - isBackground: Yields the processor to other threads; for work that nobody waits for.
  package init(
    _ name: String, isBackground: Bool = false, _ body: @escaping @Sendable () -> Void
  ) {
    guard let thread = Self.start(Start(name, isBackground, body)) else {
      fatalError("no thread can be had: the limit on processes is reached (see ulimit -u)")
    }
    self.thread = thread
  }

  /// A thread for what the caller can do itself; nil when none can be had.
  package init?(ifPossible name: String, _ body: @escaping @Sendable () -> Void) {
    guard let thread = Self.start(Start(name, false, body)) else { return nil }
    self.thread = thread
  }

  private final class Start: Sendable {
    let name: String
    let isBackground: Bool
    let body: @Sendable () -> Void

    init(_ name: String, _ isBackground: Bool, _ body: @escaping @Sendable () -> Void) {
      self.name = name
      self.isBackground = isBackground
      self.body = body
    }
  }

  private static func start(_ start: Start) -> pthread_t? {
    var thread = pthread_t()
    let argument = unsafe Unmanaged.passRetained(start)
    let code = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        unsafe _ = linux_set_thread_name(start.name)
        if start.isBackground { _ = linux_lower_thread_priority() }
        start.body()
        return nil
      }, argument.toOpaque())
    guard code == 0 else {
      unsafe argument.release()
      return nil
    }
    return thread
  }

  package func join() { _ = pthread_join(thread, nil) }
}
