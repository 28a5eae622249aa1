// Archives whose lengths are known only at their ends, as Python's zipfile reads them.

import Foundation
import Testing

@testable import IngestService

@Suite struct StreamedZipTests {
  @Test func isWhatPythonReads() throws {
    let members: [(String, [UInt8])] = [
      ("ids.npy", Array("first".utf8)), ("empty", []),
      ("ü/embeddings.npy", (0..<100_000).map { UInt8(truncatingIfNeeded: $0 * 7) }),
    ]
    var archive = StreamedZip()
    var bytes: [UInt8] = []
    for (name, content) in members {
      bytes += archive.begin(name)
      for start in stride(from: 0, to: content.count, by: 777) {
        let piece = Array(content[start..<min(start + 777, content.count)])
        piece.withUnsafeBytes { archive.count($0) }
        bytes += piece
      }
      bytes += archive.end()
    }
    bytes += archive.finish()

    let path = FileManager.default.temporaryDirectory
      .appendingPathComponent("ingot-\(UUID().uuidString).zip").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data(bytes).write(to: URL(filePath: path))
    let script = """
      import sys, zipfile
      archive = zipfile.ZipFile(sys.argv[1])
      assert archive.testzip() is None
      for info in archive.infolist():
          content = archive.read(info)
          print(len(content), info.file_size, sum(content))
      """
    let lines = try python(script, path).split(separator: "\n").map(String.init)

    #expect(
      lines == members.map { "\($1.count) \($1.count) \($1.reduce(0) { $0 + Int($1) })" })
  }

  private func python(_ script: String, _ path: String) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "-c", script, path]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: data, as: UTF8.self)
  }
}
