// Ranges and conditions as values. Over the wire: Tests/EndToEnd/test_files.py.

import HTTPCore
import Testing

@Suite struct ByteRangeTests {
  @Test(arguments: [
    ("bytes=0-0", ByteRange.part(0..<1)), ("bytes=0-", .part(0..<10)), ("bytes=9-", .part(9..<10)),
    ("bytes=3-5", .part(3..<6)), ("bytes=3-99", .part(3..<10)), ("bytes=-3", .part(7..<10)),
    ("bytes=-99", .part(0..<10)), ("Bytes=1-1", .part(1..<2)),
    ("bytes=5-99999999999999999999", .part(5..<10)),
    ("bytes=10-", .unsatisfiable), ("bytes=10-20", .unsatisfiable), ("bytes=-0", .unsatisfiable),
    ("bytes=99999999999999999999-", .unsatisfiable),
    ("bytes=", .whole), ("bytes=-", .whole), ("bytes=5-3", .whole), ("bytes=a-b", .whole),
    ("bytes=0-1,3-4", .whole), ("bytes=0-1-2", .whole), ("bytes 0-1", .whole), ("rows=0-1", .whole),
    ("bytes= 0-1", .whole), ("bytes=+0-1", .whole), ("bytes=--1", .whole), ("", .whole),
  ])
  func reads(value: String, expected: ByteRange) {
    #expect(ByteRange(HTTPFields([("Range", value)]), byteCount: 10) == expected)
  }

  @Test func isWholeWithoutOneField() {
    #expect(ByteRange(HTTPFields(), byteCount: 10) == .whole)
    let two = HTTPFields([("Range", "bytes=0-1"), ("Range", "bytes=0-1")])
    #expect(ByteRange(two, byteCount: 10) == .whole)
  }

  @Test func nothingOfAnEmptyFileCanBeAskedFor() {
    for value in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
      #expect(ByteRange(HTTPFields([("Range", value)]), byteCount: 0) == .unsatisfiable)
    }
  }

  @Test(arguments: [
    ("If-None-Match", #""a""#, Preconditions.notModified),
    ("If-None-Match", #"W/"a""#, .notModified), ("If-None-Match", #""b", "a""#, .notModified),
    ("If-None-Match", "*", .notModified), ("If-None-Match", #""b""#, .proceed),
    ("If-Match", #""a""#, .proceed), ("If-Match", "*", .proceed),
    ("If-Match", #""b", "a""#, .proceed),
    ("If-Match", #"W/"a""#, .failed), ("If-Match", #""b""#, .failed), ("If-Match", "a", .failed),
    ("Other", "x", .proceed),
  ])
  func conditions(name: String, value: String, expected: Preconditions) {
    #expect(Preconditions(HTTPFields([(name, value)]), entityTag: #""a""#) == expected)
  }

  @Test(arguments: [
    (#""a""#, true), (#"W/"a""#, false), (#""b""#, false), ("Wed, 21 Oct 2015 07:28:00 GMT", false),
  ])
  func rangeIsOfTheSameFile(value: String, expected: Bool) {
    let fields = HTTPFields([("If-Range", value)])
    #expect(Preconditions.allowsRange(fields, entityTag: #""a""#) == expected)
    #expect(Preconditions.allowsRange(HTTPFields(), entityTag: #""a""#))
  }
}
