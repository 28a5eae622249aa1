// What a measurement leaves behind: nothing. Its folder is removed and its servers end, also after a signal.

internal import Foundation
internal import Synchronization
internal import SystemIO

/// The folder that stores of measurements are in, and the servers that use it.
final class BenchSession: Sendable {
  private let folder: String
  private let state = Mutex(State())
  private let cleaning = Mutex(())

  private struct State {
    var children: [ChildProcess] = []
    var pathCount = 0
    var hasEnded = false
    var isInterrupted = false
  }

  /// - Parameter folder: Created here and removed at the end; nil for one in the current directory.
  /// - Throws: When there is something of that name; nothing that was there before is ever removed.
  init(folder: String?) throws(BenchError) {
    let path = folder ?? "ingot-bench-\(getpid())"
    let current = FileManager.default.currentDirectoryPath
    self.folder = path.hasPrefix("/") ? path : current + "/" + path
    do throws(DiskError) {
      try RealDisk().makeDirectory(self.folder)
    } catch {
      throw BenchError(
        error.isAlreadyThere
          ? "\(path) is there already; name a folder that can be created and removed"
          : error.description)
    }
    // Before any other thread starts, so that all of them leave these signals to this one.
    let signals = StopSignals()
    _ = NamedThread("bench-signals") {
      let name = signals.wait()
      self.state.withLock { $0.isInterrupted = true }
      self.cleanUp()
      exit(128 + (name == "SIGINT" ? SIGINT : SIGTERM))
    }
  }

  /// A path that nothing has been at yet.
  func newPath(_ name: String) -> String {
    state.withLock { state in
      state.pathCount += 1
      return "\(folder)/\(name)-\(state.pathCount)"
    }
  }

  func newFolder(_ name: String) throws(BenchError) -> String {
    let path = newPath(name)
    do throws(DiskError) { try RealDisk().makeDirectory(path) } catch {
      throw BenchError(error.description)
    }
    return path
  }

  func remove(_ path: String) { try? FileManager.default.removeItem(atPath: path) }

  /// Starts a child that ends with this session at the latest.
  func start(_ arguments: [String]) throws(BenchError) -> ChildProcess {
    let log = newPath("log")
    let child: Result<ChildProcess, BenchError> = state.withLock { state in
      if state.hasEnded { return .failure(BenchError("interrupted")) }
      do throws(BenchError) {
        let child = try ChildProcess(arguments, logPath: log)
        state.children.append(child)
        return .success(child)
      } catch {
        return .failure(error)
      }
    }
    return try child.get()
  }

  /// Ends what runs and removes the folder. After a signal it does not return: what was measured since is
  /// worth nothing, and the thread that got the signal ends this process.
  func end() {
    cleanUp()
    while state.withLock({ $0.isInterrupted }) { BenchClock.sleep(.seconds(1)) }
  }

  private func cleanUp() {
    let children = state.withLock { state in
      state.hasEnded = true
      return state.children
    }
    // One thread at a time: the other one returns when nothing is left.
    cleaning.withLock { _ in
      for child in children { child.end() }
      remove(folder)
    }
  }
}
