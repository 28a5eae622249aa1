// A thread with a name that `top -H` and `perf` show.

internal import CLinux
internal import Glibc

/// Runs a closure on a thread of its own; joined by ``join()`` or left alone.
package final class NamedThread: Sendable {
  private let thread: pthread_t

  /// - Parameter name: At most 15 bytes are kept.
  package init(_ name: String, _ body: @escaping @Sendable () -> Void) {
    final class Start: Sendable {
      let name: String
      let body: @Sendable () -> Void
      init(_ name: String, _ body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
      }
    }
    var thread = pthread_t()
    let start = unsafe Unmanaged.passRetained(Start(name, body)).toOpaque()
    let code = unsafe pthread_create(
      &thread, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        unsafe _ = linux_set_thread_name(start.name)
        start.body()
        return nil
      }, start)
    precondition(code == 0, "a thread could not be started: error \(code)")
    self.thread = thread
  }

  package func join() { _ = pthread_join(thread, nil) }
}
