// Inputs that fuzzing kept, each of which once failed or reaches code that no other does. Found again by: deploy/fuzz.

import Foundation
import Fuzzing
import Testing

@Suite struct FuzzingTests {
  static let folder = URL(filePath: #filePath).appending(path: "../../Data/fuzz").standardized

  @Test(arguments: FuzzTarget.allCases)
  func holdsWhatItPromisesOfEveryKeptInput(target: FuzzTarget) throws {
    let inputs = try seeds(of: target) + kept(of: target)
    #expect(inputs.count > 1)
    for (name, bytes) in inputs {
      let problem = target.run(bytes)
      #expect(problem == nil, "\(name)")
    }
  }

  /// Written by hand or by NumPy.
  private func seeds(of target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
    try FileManager.default.contentsOfDirectory(
      at: Self.folder.appending(path: target.rawValue), includingPropertiesForKeys: nil
    ).map { ($0.lastPathComponent, Array(try Data(contentsOf: $0))) }
  }

  /// Found by fuzzing; a line each.
  private func kept(of target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
    let file = Self.folder.appending(path: "\(target.rawValue).base64")
    let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
    return try lines.enumerated().map { number, line in
      ("line \(number + 1)", Array(try #require(Data(base64Encoded: String(line)))))
    }
  }
}
