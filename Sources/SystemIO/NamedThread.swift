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
    final class Start: Sendable {
      let name: String
      let isBackground: Bool
      let body: @Sendable () -> Void
      init(_ name: String, _ isBackground: Bool, _ body: @escaping @Sendable () -> Void) {
        self.name = name
        self.isBackground = isBackground
        self.body = body
      }
    }
    var thread = pthread_t()
    let start = unsafe Unmanaged.passRetained(Start(name, isBackground, body)).toOpaque()
    let code = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        unsafe _ = linux_set_thread_name(start.name)
        if start.isBackground { _ = linux_lower_thread_priority() }
        start.body()
        return nil
      }, start)
    precondition(code == 0, "a thread could not be started: error \(code)")
    self.thread = thread
  }

  package func join() { _ = pthread_join(thread, nil) }
}
