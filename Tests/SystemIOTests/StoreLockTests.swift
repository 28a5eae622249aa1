// Promise P10: one process per store, whatever path leads there.

import Foundation
import Glibc
import SystemIO
import Testing

@Suite struct StoreLockTests {
  @Test func locksOutASecondHolderUntilTheFirstIsGone() throws {
    let at = try TestDisk(.real)
    try #require(symlink(at.root, at.root + ".link") == 0)
    defer { unlink(at.root + ".link") }
    var first: StoreLock? = try StoreLock(directory: at.root)

    for path in [at.root, at.root + "/", at.root + ".link"] {
      let error = #expect(throws: DiskError.self) { _ = try StoreLock(directory: path) }
      #expect(error?.isLockedByAnother == true)
      #expect(StoreLock.holder(ofDirectory: path) == Int(getpid()))
    }

    withExtendedLifetime(first) {}
    first = nil
    #expect(throws: Never.self) { _ = try StoreLock(directory: at.root) }
    #expect(StoreLock.holder(ofDirectory: at.root) == nil)
  }

  @Test func isHeldAgainstAnotherProcessAndFreeWhenThatEnds() throws {
    let at = try TestDisk(.real)
    let other = Process()
    other.executableURL = URL(fileURLWithPath: "/usr/bin/flock")
    // Says that it holds the lock, and keeps it until its input ends.
    other.arguments = ["--no-fork", at.root, "sh", "-c", "echo held; exec cat"]
    let (input, output) = (Pipe(), Pipe())
    other.standardInput = input
    other.standardOutput = output
    try other.run()
    #expect(output.fileHandleForReading.availableData == Data("held\n".utf8))

    let error = #expect(throws: DiskError.self) { _ = try StoreLock(directory: at.root) }
    let holder = StoreLock.holder(ofDirectory: at.root)
    try input.fileHandleForWriting.close()
    other.waitUntilExit()

    #expect(error?.isLockedByAnother == true)
    #expect(holder == Int(other.processIdentifier))
    #expect(throws: Never.self) { _ = try StoreLock(directory: at.root) }
  }

  @Test func needsADirectory() throws {
    let at = try TestDisk(.real)
    try at.write("", to: "file")

    #expect(throws: DiskError.self) { _ = try StoreLock(directory: at["file"]) }
    #expect(throws: DiskError.self) { _ = try StoreLock(directory: at["none"]) }
  }
}
