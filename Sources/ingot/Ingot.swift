// The program: one command each for serving, checking, looking and measuring.

import ArgumentParser
import Foundation

@main
struct Ingot: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ingot",
    abstract: "Takes batches of embeddings over HTTP and keeps them in files that NumPy opens.",
    version: IngotVersion.current,
    subcommands: [
      ServeCommand.self, VerifyCommand.self, ScrubCommand.self, RebuildCommand.self,
      StatusCommand.self, ImportCommand.self, ExportCommand.self, SalvageCommand.self,
      ReconcileCommand.self, BackupCommand.self, BenchCommand.self, FloorServerCommand.self,
    ])

  /// Runs a command; its failure is one line on standard error and its exit code.
  static func main() {
    StandardStreams.fillMissing()
    do {
      do {
        var command = try parseAsRoot()
        try command.run()
      } catch let error where exitCode(for: error).isSuccess {
        // Help, or the version, was asked for.
        try StandardOutput.write(fullMessage(for: error) + "\n")
      }
    } catch let failure as Failure {
      StandardError.write(line: "ingot: \(failure)")
      Foundation.exit(failure.code.rawValue)
    } catch {
      exit(withError: error)
    }
  }
}

enum IngotVersion {
  static let current = "0.1.0"
}

/// What a command answers to the shell. Listed in docs/operating.md.
extension ExitCode {
  static let damage = ExitCode(1)
  static let couldNotRun = ExitCode(2)
  static let storeInUse = ExitCode(3)
  static let inputUnusable = ExitCode(4)
  static let conflict = ExitCode(5)
  /// As a shell says it of SIGINT.
  static let interrupted = ExitCode(130)
}
