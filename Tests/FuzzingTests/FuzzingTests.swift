// Inputs that fuzzing kept, each of which once failed or reaches code that no other does. Found again by: deploy/fuzz.

import Foundation
import Fuzzing
import Testing

@Suite struct FuzzingTests {
  static let folder = URL(filePath: #filePath).appending(path: "../../Data/fuzz").standardized

  @Test(arguments: FuzzTarget.allCases)
  func holdsWhatItPromisesOfEveryKeptInput(target: FuzzTarget) throws {
    let inputs = try FileManager.default.contentsOfDirectory(
      at: Self.folder.appending(path: target.rawValue), includingPropertiesForKeys: nil)
    #expect(!inputs.isEmpty)
    for input in inputs {
      let problem = target.run(Array(try Data(contentsOf: input)))
      #expect(problem == nil, "\(input.lastPathComponent)")
    }
  }
}
