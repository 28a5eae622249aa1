// How much memory a server takes, as the kernel counts it. Source: man 5 proc_pid_status.

internal import Glibc
internal import Synchronization
internal import SystemIO

/// The largest values that were seen, in bytes.
struct MemoryFigures: Encodable, Sendable {
  /// Memory that is no file: RssAnon + RssShmem.
  var privateByteCount = 0
  /// Pages of mapped files, the program among them: RssFile.
  var mappedByteCount = 0
  /// VmHWM: the most of both together.
  var residentByteCount = 0
}

/// Looks at a process ten times a second until it is stopped.
final class ServerMemory: Sendable {
  private let figures = Mutex(MemoryFigures())
  private let isStopped = Monitor(false)
  private let process: pid_t
  private let thread: Mutex<NamedThread?>

  private static let period = Duration.milliseconds(100)

  init(of process: ChildProcess) {
    self.process = process.number
    thread = Mutex(nil)
    thread.withLock {
      $0 = NamedThread("bench-memory") {
        self.sample()
        while self.isStopped.wait(until: .now.advanced(by: Self.period), for: { $0 ? true : nil })
          == nil
        { self.sample() }
      }
    }
  }

  /// - Returns: The figures of the whole time; the process must still run.
  func stop() -> MemoryFigures {
    isStopped.change { $0 = true }
    thread.withLock { $0?.join() }
    sample()
    return figures.withLock { $0 }
  }

  private func sample() {
    guard let file = try? RealDisk().openFile("/proc/\(process)/status", for: .read),
      let bytes = try? file.read(offset: 0, byteCount: 64 << 10)
    else { return }
    let values = Self.values(String(decoding: bytes, as: UTF8.self))
    figures.withLock { figures in
      let own = values["RssAnon", default: 0] + values["RssShmem", default: 0]
      figures.privateByteCount = max(figures.privateByteCount, own)
      figures.mappedByteCount = max(figures.mappedByteCount, values["RssFile", default: 0])
      figures.residentByteCount = max(figures.residentByteCount, values["VmHWM", default: 0])
    }
  }

  /// The lines that are sizes, as `VmHWM:     5120 kB`.
  private static func values(_ status: String) -> [Substring: Int] {
    var values: [Substring: Int] = [:]
    for line in status.split(separator: "\n") {
      let parts = line.split { $0 == ":" || $0 == " " || $0 == "\t" }
      if parts.count == 3, parts[2] == "kB", let kibibytes = Int(parts[1]) {
        values[parts[0]] = kibibytes << 10
      }
    }
    return values
  }
}
