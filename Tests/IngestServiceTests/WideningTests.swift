// float16 becomes the same number in float32.

import Testing

@testable import IngestService

@Suite struct WideningTests {
  @Test func keepsEveryNumber() {
    let halves = (0...UInt16.max).map { $0 }
    let bytes = halves.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }

    let widened = bytes.withUnsafeBytes { Widening.float32(ofFloat16: $0) }

    let found = widened.withUnsafeBytes { Array($0.bindMemory(to: UInt32.self)) }
    #expect(found.count == halves.count)
    for (half, bits) in zip(halves, found) {
      let expected = Float(Float16(bitPattern: half))
      #expect(
        expected.isNaN ? Float(bitPattern: bits).isNaN : bits == expected.bitPattern, "\(half)")
    }
  }
}
