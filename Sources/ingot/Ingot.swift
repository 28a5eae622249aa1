// The program: one command each for serving, checking, looking and measuring.

import ArgumentParser

@main
struct Ingot: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ingot",
    abstract: "Takes batches of embeddings over HTTP and keeps them in files that NumPy opens.",
    version: IngotVersion.current,
    subcommands: [VerifyCommand.self, StatusCommand.self])
}

enum IngotVersion {
  static let current = "0.1.0"
}

/// What a command answers to the shell. Listed in docs/operating.md.
extension ExitCode {
  static let damage = ExitCode(1)
  static let couldNotRun = ExitCode(2)
  static let storeInUse = ExitCode(3)
}
