// This program once more, as a child with another command. Source: man 3 posix_spawn.

internal import Glibc
internal import SystemIO

/// A running `ingot`, until ``end()``.
final class ChildProcess: Sendable {
  let number: pid_t
  private let command: String
  private let logPath: String
  private let output: Descriptor
  /// Held open so that the child sees the end of its input when this process is gone, whatever ended it.
  private let input: Descriptor
  private let hasEnded = Monitor(false)

  /// A child that does not end within so long after SIGTERM is killed.
  private static let endSecondsMax = 60

  /// - Parameters:
  ///   - arguments: The command and its flags.
  ///   - logPath: Where its standard error goes.
  init(_ arguments: [String], logPath: String) throws(BenchError) {
    command = arguments.first ?? ""
    self.logPath = logPath
    let inputEnds = try Self.pipe()
    let outputEnds = try Self.pipe()
    let inputEnd = Descriptor(owning: inputEnds.reading)
    let outputEnd = Descriptor(owning: outputEnds.writing)
    input = Descriptor(owning: inputEnds.writing)
    output = Descriptor(owning: outputEnds.reading)
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, inputEnd.number, STDIN_FILENO)
    unsafe posix_spawn_file_actions_adddup2(&actions, outputEnd.number, STDOUT_FILENO)
    unsafe posix_spawn_file_actions_addopen(
      &actions, STDERR_FILENO, logPath, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    number = try unsafe Self.spawn(arguments, &actions)
    extendLifetime(inputEnd)
    extendLifetime(outputEnd)
  }

  private static func spawn(
    _ arguments: [String], _ actions: inout posix_spawn_file_actions_t
  ) throws(BenchError) -> pid_t {
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe _ = posix_spawnattr_destroy(&attributes) }
    // The child gets signals although this process has blocked them, and Ctrl-C only through this one.
    var mask = sigset_t()
    unsafe sigemptyset(&mask)
    unsafe posix_spawnattr_setsigmask(&attributes, &mask)
    unsafe posix_spawnattr_setpgroup(&attributes, 0)
    unsafe posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETPGROUP))
    let texts = unsafe (["ingot"] + arguments).map { unsafe strdup($0) }
    let settings = unsafe environment().map { unsafe strdup($0) }
    defer {
      for index in unsafe texts.indices { unsafe free(texts[index]) }
      for index in unsafe settings.indices { unsafe free(settings[index]) }
    }
    var number = pid_t()
    let code = unsafe posix_spawn(
      &number, "/proc/self/exe", &actions, &attributes, texts + [nil], settings + [nil])
    guard code == 0 else {
      throw BenchError("starting ingot: \(unsafe String(cString: strerror(code)))")
    }
    return number
  }

  /// The variables of this process without settings of the server: a measurement names its own.
  private static func environment() -> [String] {
    var variables: [String] = []
    var next = unsafe environ
    while let variable = unsafe next.pointee {
      unsafe variables.append(String(cString: variable))
      unsafe next += 1
    }
    return variables.filter { !$0.hasPrefix("INGOT_") }
  }

  /// The descriptors of both ends, which no child inherits.
  private static func pipe() throws(BenchError) -> (reading: Int32, writing: Int32) {
    var numbers: [Int32] = [0, 0]
    guard unsafe Glibc.pipe(&numbers) == 0 else { throw .last("pipe") }
    for number in numbers { _ = fcntl(number, F_SETFD, FD_CLOEXEC) }
    return (numbers[0], numbers[1])
  }

  /// Waits for the line of standard output that begins with `prefix`.
  ///
  /// - Returns: What follows `prefix`.
  func line(after prefix: String, within limit: Duration) throws(BenchError) -> String {
    let deadline = MonotonicTime.now.advanced(by: limit)
    var text: [UInt8] = []
    while true {
      if let end = text.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: text[..<end], as: UTF8.self)
        if line.hasPrefix(prefix) { return String(line.dropFirst(prefix.count)) }
        text.removeFirst(end + 1)
        continue
      }
      let wait = MonotonicTime.now.duration(to: deadline)
      var events = pollfd(fd: output.number, events: Int16(POLLIN), revents: 0)
      guard wait > .zero, unsafe poll(&events, 1, Int32(wait.seconds * 1000) + 1) > 0 else {
        throw BenchError("ingot \(command) was not ready within \(limit)\(logEnd())")
      }
      var piece = [UInt8](repeating: 0, count: 4096)
      let count = unsafe read(output.number, &piece, piece.count)
      guard count > 0 else {
        throw BenchError("ingot \(command) ended before it was ready\(logEnd())")
      }
      text += piece[..<count]
    }
  }

  /// The last lines that the child wrote to standard error.
  private func logEnd() -> String {
    guard let file = try? RealDisk().openFile(logPath, for: .read),
      let bytes = try? file.read(offset: 0, byteCount: 1 << 20), !bytes.isEmpty
    else { return "" }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    return "; it said:\n" + lines.suffix(5).joined(separator: "\n")
  }

  /// Asks the child to end and waits for it. Further calls do nothing.
  func end() {
    hasEnded.withLock { hasEnded in
      if hasEnded { return }
      hasEnded = true
      kill(number, SIGTERM)
      let deadline = MonotonicTime.now.advanced(by: .seconds(Self.endSecondsMax))
      var status: Int32 = 0
      while unsafe waitpid(number, &status, WNOHANG) == 0 {
        if MonotonicTime.now > deadline { kill(number, SIGKILL) }
        BenchClock.sleep(.milliseconds(2))
      }
    }
  }
}
