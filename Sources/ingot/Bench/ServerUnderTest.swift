// An `ingot serve` that a measurement starts for itself.

internal import SystemIO

/// A running server on a free port of the loopback interface.
final class ServerUnderTest: Sendable {
  let process: ChildProcess
  let address: ServerAddress
  /// From the start of the process to its ready line.
  let startDuration: Duration

  private static let readyPrefix = "ingot: serving "
  private static let readyLimit = Duration.seconds(60)

  /// - Parameters:
  ///   - store: The directory of its store; created when it is not there.
  ///   - flags: More flags of `serve`. They win over those given here.
  init(_ session: BenchSession, store: String, flags: [String]) throws(BenchError) {
    let start = MonotonicTime.now
    process = try session.start(
      ["serve", "--store", store, "--listen", "127.0.0.1:0", "--disk-reserve", "0"] + flags)
    let line = try process.line(after: Self.readyPrefix, within: Self.readyLimit)
    startDuration = start.duration(to: .now)
    guard let url = line.lastRange(of: " on http://"),
      let address = ServerAddress(url: "http://" + line[url.upperBound...])
    else { throw BenchError("ingot serve named no address: \(line)") }
    self.address = address
  }

  func end() { process.end() }
}

/// The bare server as a child.
final class FloorServerUnderTest: Sendable {
  let process: ChildProcess
  let target: FloorTarget

  init(_ session: BenchSession) throws(BenchError) {
    process = try session.start(["floor-server", "--folder", try session.newFolder("floor")])
    let line = try process.line(after: FloorProtocol.readyPrefix, within: .seconds(60))
    guard let address = ServerAddress(url: "http://" + line) else {
      throw BenchError("the bare server named no address: \(line)")
    }
    target = FloorTarget(address: address)
  }
}

extension String {
  fileprivate func lastRange(of text: String) -> Range<String.Index>? { ranges(of: text).last }
}
