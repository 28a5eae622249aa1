// The ids of a batch: limits, UTF-8, duplicates, and the form in which the log keeps them.

import TestContent
import Testing

@testable import ShardStore

@Suite struct IDListTests {
  private func problem(_ ids: [[UInt8]]) -> IDProblem? {
    var builder = IDList.Builder()
    do throws(IDProblem) {
      for id in ids {
        var failure: IDProblem?
        id.withUnsafeBytes { bytes in
          do throws(IDProblem) { try builder.append(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
      }
      _ = try builder.finish()
    } catch {
      return error
    }
    return nil
  }

  @Test func keepsIDsInOrder() {
    let list = IDList(["a", "Zürich", "日本", "-1"])

    #expect((0..<list.count).map(list.string) == ["a", "Zürich", "日本", "-1"])
    #expect(list.bytes.prefix(5) == [1, 0, 0x61, 7, 0])
    #expect(IDList(checkedBytes: list.bytes, count: 4) == list)
  }

  @Test func takesIntegersAsTheirDecimalForm() throws {
    var builder = IDList.Builder()
    try builder.append(Int64.min)
    try builder.append(UInt64.max)
    try builder.append(UInt8(0))
    let list = try builder.finish()

    #expect(
      (0..<3).map(list.string) == ["-9223372036854775808", "18446744073709551615", "0"])
  }

  @Test func refusesIDsBeyondTheLimits() {
    let longest = [UInt8](repeating: 0x61, count: IDList.idByteCountMax)

    #expect(problem([longest]) == nil)
    #expect(problem([[0x62], longest + [0x61]]) == .tooLong(index: 1, byteCount: 513))
    #expect(problem([[0x62], []]) == .empty(index: 1))
  }

  /// Overlong forms, surrogates, beyond U+10FFFF, and a cut sequence.
  @Test(
    arguments: [
      [0xFF], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
      [0x61, 0xC3], [0x80],
    ] as [[UInt8]])
  func refusesWhatIsNotUTF8(bytes: [UInt8]) {
    #expect(problem([[0x61], bytes]) == .notUTF8(index: 1))
  }

  @Test func findsTheFirstDuplicateByItsBytes() {
    // Equal to a reader, different in bytes: two ids.
    #expect(problem([Array("é".utf8), Array("e\u{301}".utf8)]) == nil)
    #expect(
      problem(["a", "b", "c", "b", "a"].map { Array($0.utf8) })
        == .duplicate(index: 3, firstIndex: 1, id: "b"))
    #expect(problem((0..<5000).map { Array("\($0)".utf8) }) == nil)
    #expect(
      problem((0..<5000).map { Array("\($0 % 4999)".utf8) })
        == .duplicate(index: 4999, firstIndex: 0, id: "0"))
  }

  @Test func readsOnlyWhatIsExactlyAsManyIDs() {
    let bytes = IDList(["ab", "c"]).bytes

    #expect(IDList(checkedBytes: bytes, count: 1) == nil)
    #expect(IDList(checkedBytes: bytes, count: 3) == nil)
    #expect(IDList(checkedBytes: [], count: 0)?.count == 0)
    for end in 0..<bytes.count {
      #expect(IDList(checkedBytes: Array(bytes[..<end]), count: 2) == nil)
    }
    #expect(IDList(checkedBytes: [0, 0], count: 1) == nil)
    #expect(IDList(checkedBytes: [1, 2] + [UInt8](repeating: 0x61, count: 513), count: 1) == nil)
  }

  @Test func roundsUpToAPowerOfTwo() {
    #expect([-1, 0, 1, 2, 3, 4, 5, 1025].map(\.nextPowerOfTwo) == [1, 1, 1, 2, 4, 4, 8, 2048])
  }
}
