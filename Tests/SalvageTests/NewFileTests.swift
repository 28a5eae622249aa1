// A file has its name only when it is complete.

import Salvage
import ShardStore
import SystemIO
import Testing

@Suite struct NewFileTests {
  private let disk = RealDisk()

  private func content(_ path: String) throws -> [UInt8] {
    try disk.openFile(path, for: .read).read(offset: 0, byteCount: 1 << 20)
  }

  @Test func hasItsNameOnlyWhenPublished() throws {
    let at = try BrokenFile([1])
    let path = at.folder + "/list"
    do {
      let file = try NewFile(path, replaces: false)
      try file.append(line: [0x61])
      #expect(try disk.kind(of: path) == nil)
    }
    #expect(try disk.names(inDirectory: at.folder) == ["broken.npy"])

    let file = try NewFile(path, replaces: false)
    try file.append(line: [0x62])
    try file.publish()
    #expect(try content(path) == [0x62, 0x0A])
    #expect(try disk.names(inDirectory: at.folder) == ["broken.npy", "list"])
  }

  @Test func replacesOnlyWhenAsked() throws {
    let at = try BrokenFile([1])
    #expect(throws: DiskError.self) { try NewFile(at.path, replaces: false) }
    #expect(throws: DiskError.self) { try NewFile(at.folder, replaces: true) }
    do { try NewFile(at.path, replaces: true).append([2]) }
    #expect(try content(at.path) == [1])
    try NewFile(at.path, replaces: true).publish()
    #expect(try content(at.path) == [])
  }

  @Test func writesWhatNumPyWrites() throws {
    let at = try BrokenFile([1])
    let path = at.folder + "/good.npy"
    let output = try NumPyOutput(
      path, dimension: BrokenFile.dimension, dtype: .float32, replaces: false)
    for row in 0..<3 {
      try BrokenFile.rows(row..<(row + 1)).withUnsafeBytes { try output.append($0) }
    }
    try output.publish()
    let header = NumPyHeader.canonical(
      rowCount: 3, dimension: BrokenFile.dimension, dtype: .float32)
    #expect(try content(path) == header + BrokenFile.rows(0..<3))
  }
}
