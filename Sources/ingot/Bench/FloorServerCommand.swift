// `ingot floor-server`: the bare server as a process of its own. Started by `ingot bench --floor` alone.

internal import ArgumentParser
internal import Foundation
internal import SystemIO

struct FloorServerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "floor-server",
    abstract: "The bare server that ingot bench --floor compares with.",
    shouldDisplay: false)

  @Option(help: ArgumentHelp("Where its file goes.", valueName: "dir"))
  var folder: String

  func run() throws {
    do throws(BenchError) {
      let server = try FloorServer(folder: folder)
      endWithStandardInput()
      let line = "\(FloorProtocol.readyPrefix)127.0.0.1:\(server.port)\n"
      do throws(Failure) { try StandardOutput.write(line) } catch {
        throw BenchError(error.description)
      }
      server.run()
    } catch {
      throw Failure(error.description, code: .couldNotRun)
    }
  }

  /// The process that started this one holds the other end, so the server does not outlive it.
  private func endWithStandardInput() {
    _ = NamedThread("floor-input") {
      var byte: UInt8 = 0
      while unsafe read(STDIN_FILENO, &byte, 1) > 0 {}
      Foundation.exit(0)
    }
  }
}
