// Random numbers that can be had again. Used by all tests that choose by chance.

/// A generator whose sequence is known from its seed. Source: Steele, Lea, Flood, "Fast splittable
/// pseudorandom number generators", 2014 (SplitMix64).
package struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  /// Another sequence for each text.
  package init(seed: UInt64, _ text: String) {
    // FNV-1a: Swift's own hashes differ from process to process.
    state = text.utf8.reduce(seed ^ 0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }
}
