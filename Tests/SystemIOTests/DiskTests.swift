// What every disk does, asked of both: the real one in a temporary folder, the simulated one in memory.

import DiskSimulation
import Foundation
import Glibc
import SystemIO
import Testing

/// A disk and an empty directory on it, removed with this.
final class TestDisk: CustomTestStringConvertible, Sendable {
  enum Kind: CaseIterable { case real, simulated }

  let disk: any Disk
  let root: String
  private let kind: Kind

  init(_ kind: Kind) throws {
    self.kind = kind
    root = NSTemporaryDirectory() + "ingot-disk-" + UUID().uuidString
    switch kind {
    case .real:
      disk = RealDisk()
    case .simulated:
      disk = SimulatedDisk()
      var path = ""
      for name in root.split(separator: "/").dropLast() {
        path += "/" + name
        try disk.makeDirectory(path)
      }
    }
    try disk.makeDirectory(root)
  }

  deinit { if kind == .real { try? FileManager.default.removeItem(atPath: root) } }

  var testDescription: String { "\(kind)" }

  subscript(name: String) -> String { root + "/" + name }

  func write(_ text: String, to name: String) throws {
    try disk.createFile(self[name]).write(Array(text.utf8), at: 0)
  }

  func text(_ name: String) throws -> String {
    let file = try disk.openFile(self[name], for: .read)
    return String(decoding: try file.read(offset: 0, byteCount: 1000), as: UTF8.self)
  }
}

@Suite struct DiskTests {
  private func code(_ body: () throws -> Void) -> Int32? {
    do { try body() } catch { return (error as? DiskError)?.code }
    return nil
  }

  @Test func namesAFileInAnErrorAsItIsCalledByNow() throws {
    let at = try TestDisk(.real)
    let file = try at.disk.createFile(at["new-000001"])
    try at.disk.rename(at["new-000001"], to: at["000001"])

    #expect {
      try file.truncate(toByteCount: -1)
    } throws: {
      ($0 as? DiskError)?.path.hasSuffix("/000001") == true
    }
  }

  @Test(arguments: TestDisk.Kind.allCases)
  func createsAFileOnceAndOpensOnlyWhatIsThere(kind: TestDisk.Kind) throws {
    let at = try TestDisk(kind)

    #expect(code { _ = try at.disk.openFile(at["a"], for: .read) } == ENOENT)
    #expect(try at.disk.createFile(at["a"]).byteCount() == 0)
    #expect(code { _ = try at.disk.createFile(at["a"]) } == EEXIST)
    #expect(code { _ = try at.disk.createFile(at["none/a"]) } == ENOENT)
    #expect(try at.disk.openFile(at["a"], for: .readWrite).path == at["a"])
  }

  @Test(arguments: TestDisk.Kind.allCases)
  func readsWhatWasWritten(kind: TestDisk.Kind) throws {
    let at = try TestDisk(kind)
    let file = try at.disk.createFile(at["a"])

    try file.write([1, 2, 3, 4], at: 2)
    try file.write([9], at: 3)
    try file.write([], at: 100)
    try file.sync()
    file.startWriteback(offset: 0, byteCount: 4)

    #expect(try file.byteCount() == 6)
    #expect(try file.read(offset: 0, byteCount: 100) == [0, 0, 1, 9, 3, 4])
    #expect(try file.read(offset: 4, byteCount: 1) == [3])
    #expect(try file.read(offset: 6, byteCount: 10) == [])
    #expect(try file.read(offset: 60, byteCount: 10) == [])
    #expect(try file.read(offset: 0, byteCount: 0) == [])
  }

  /// The real one alone: in the simulated one nobody but the program removes files.
  @Test func callsAFileThatSomebodyRemovedNotDurable() throws {
    let at = try TestDisk(.real)
    let file = try at.disk.createFile(at["a"])
    try file.write([1], at: 0)
    try file.sync()
    try at.disk.removeFile(at["a"])

    #expect(code { try file.sync() } == ENOENT)
  }

  @Test(arguments: TestDisk.Kind.allCases)
  func allocatesZerosBehindTheEndAndKeepsWhatIsThere(kind: TestDisk.Kind) throws {
    let at = try TestDisk(kind)
    let file = try at.disk.createFile(at["a"])
    try file.write([7, 7], at: 0)

    try file.allocate(offset: 1, byteCount: 4)
    try file.allocate(offset: 0, byteCount: 2)

    #expect(try file.read(offset: 0, byteCount: 10) == [7, 7, 0, 0, 0])
  }

  @Test(arguments: TestDisk.Kind.allCases)
  func truncatesAndGrowsWithZeros(kind: TestDisk.Kind) throws {
    let at = try TestDisk(kind)
    let file = try at.disk.createFile(at["a"])
    try file.write([1, 2, 3], at: 0)

    try file.truncate(toByteCount: 1)
    try file.truncate(toByteCount: 3)

    #expect(try file.read(offset: 0, byteCount: 10) == [1, 0, 0])
  }

  @Test(arguments: TestDisk.Kind.allCases)
  func showsLaterWritesInAMapping(kind: TestDisk.Kind) throws {
    let at = try TestDisk(kind)
    let file = try at.disk.createFile(at["a"])
    try file.write([1, 2, 3], at: 0)
    let mapping = try file.map(byteCount: 8)

    try file.write([8, 9], at: 2)

    #expect(mapping.byteCount == 8)
    #expect(mapping.withBytes(1..<4) { Array($0) } == [2, 8, 9])
    #expect(mapping.withBytes(2..<2) { $0.count } == 0)
    #expect(code { _ = try file.map(byteCount: 0) } == EINVAL)
  }

  @Test(arguments: TestDisk.Kind.allCases)
  func keepsAnOpenFileThatLostItsName(kind: TestDisk.Kind) throws {
    let at = try TestDisk(kind)
    let file = try at.disk.createFile(at["a"])
    try at.disk.removeFile(at["a"])

    try file.write([5], at: 0)

    #expect(try file.read(offset: 0, byteCount: 1) == [5])
    #expect(try at.disk.kind(of: at["a"]) == nil)
  }

  @Test(arguments: TestDisk.Kind.allCases)
  func listsNamesInOrderWithTheirKinds(kind: TestDisk.Kind) throws {
    let at = try TestDisk(kind)
    for name in ["b", "a", ".hidden", "ä"] { try at.write("", to: name) }
    try at.disk.makeDirectory(at["c"])

    #expect(try at.disk.names(inDirectory: at.root) == [".hidden", "a", "b", "c", "ä"])
    #expect(try at.disk.names(inDirectory: at["c"]) == [])
    #expect(code { _ = try at.disk.names(inDirectory: at["d"]) } == ENOENT)
    #expect(code { _ = try at.disk.names(inDirectory: at["a"]) } == ENOTDIR)
    #expect(try at.disk.kind(of: at["a"]) == .file)
    #expect(try at.disk.kind(of: at["c"]) == .directory)
    #expect(try at.disk.kind(of: at["d"]) == nil)
  }

  @Test(arguments: TestDisk.Kind.allCases)
  func makesAndRemovesDirectories(kind: TestDisk.Kind) throws {
    let at = try TestDisk(kind)
    try at.disk.makeDirectory(at["d"])
    try at.write("x", to: "d/a")

    #expect(code { try at.disk.makeDirectory(at["d"]) } == EEXIST)
    #expect(code { try at.disk.makeDirectory(at["e/f"]) } == ENOENT)
    #expect(code { try at.disk.removeDirectory(at["d"]) } == ENOTEMPTY)
    #expect(code { try at.disk.removeDirectory(at["d/a"]) } == ENOTDIR)
    #expect(code { try at.disk.removeFile(at["d"]) } == EISDIR)
    #expect(code { try at.disk.removeFile(at["d/b"]) } == ENOENT)
    try at.disk.removeFile(at["d/a"])
    try at.disk.syncDirectory(at["d"])
    try at.disk.removeDirectory(at["d"])
    #expect(code { try at.disk.syncDirectory(at["d"]) } == ENOENT)
    #expect(try at.disk.names(inDirectory: at.root) == [])
  }

  @Test(arguments: TestDisk.Kind.allCases)
  func renamesFilesOverFilesAndDirectoriesOverEmptyOnes(kind: TestDisk.Kind) throws {
    let at = try TestDisk(kind)
    try at.write("new", to: "a")
    try at.write("old", to: "b")
    for name in ["d", "e", "full"] { try at.disk.makeDirectory(at[name]) }
    try at.write("inside", to: "d/x")
    try at.write("", to: "full/y")

    try at.disk.rename(at["a"], to: at["b"])
    try at.disk.rename(at["d"], to: at["e"])

    #expect(try at.text("b") == "new")
    #expect(try at.text("e/x") == "inside")
    #expect(try at.disk.names(inDirectory: at.root) == ["b", "e", "full"])
    #expect(code { try at.disk.rename(at["e"], to: at["full"]) } == ENOTEMPTY)
    #expect(code { try at.disk.rename(at["b"], to: at["e"]) } == EISDIR)
    #expect(code { try at.disk.rename(at["e"], to: at["b"]) } == ENOTDIR)
    #expect(code { try at.disk.rename(at["none"], to: at["b"]) } == ENOENT)
    #expect(code { try at.disk.rename(at["b"], to: at["none/b"]) } == ENOENT)
  }

  @Test(arguments: TestDisk.Kind.allCases)
  func opensOnlyFiles(kind: TestDisk.Kind) throws {
    let at = try TestDisk(kind)
    try at.disk.makeDirectory(at["d"])

    for access in [FileAccess.read, .readWrite] {
      #expect(throws: DiskError.self) { try at.disk.openFile(at["d"], for: access) }
    }
    #expect(throws: DiskError.self) { try at.disk.syncDirectory(at["none"]) }
    #expect(try at.disk.space(at: at.root).totalByteCount > 0)
  }
}

@Suite struct RealDiskTests {
  @Test func refusesLinksAndPipesWithoutWaiting() throws {
    let at = try TestDisk(.real)
    try at.write("x", to: "a")
    try #require(symlink(at["a"], at["link"]) == 0)
    try #require(mkfifo(at["pipe"], 0o600) == 0)

    for name in ["link", "pipe"] {
      for access in [FileAccess.read, .readWrite] {
        #expect(throws: DiskError.self) { try at.disk.openFile(at[name], for: access) }
      }
      #expect(throws: DiskError.self) { try at.disk.createFile(at[name]) }
      #expect(try at.disk.kind(of: at[name]) == .other)
    }
  }

  @Test func saysOperationPathAndErrorInWords() throws {
    let error = #expect(throws: DiskError.self) {
      try RealDisk().openFile("/nowhere/at/all", for: .read)
    }

    #expect(error?.description == "open /nowhere/at/all: No such file or directory")
    #expect(error?.isNotFound == true)
    #expect(error?.isOutOfSpace == false)
  }

  @Test(arguments: [(ENOSPC, true), (EDQUOT, true), (EFBIG, true), (EIO, false)])
  func knowsWhichErrorsMeanThatThereIsNoRoom(code: Int32, expected: Bool) {
    #expect(DiskError(operation: "pwrite", path: "/a", code: code).isOutOfSpace == expected)
  }

  @Test func reportsAFullDevice() throws {
    // What cannot be written to for want of space, on every Linux.
    let at = try TestDisk(.real)
    let file = try at.disk.createFile(at["a"])

    let error = #expect(throws: DiskError.self) {
      try file.allocate(offset: 0, byteCount: 1 << 60)
    }

    #expect(error?.isOutOfSpace == true)
    #expect(try file.byteCount() == 0)
  }
}
