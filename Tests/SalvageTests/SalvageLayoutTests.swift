// Where rows lie, decided from the first bytes of a file, its length, and what was given.

import ShardStore
import Testing

@testable import Salvage

@Suite struct SalvageLayoutTests {
  private static let fileByteCount = 128 + 100 * 32
  private static let given = SalvageHints(dimension: 8, dtype: .float32)

  private func layout(
    _ head: [UInt8], fileByteCount: Int = fileByteCount, _ hints: SalvageHints = SalvageHints()
  ) throws(SalvageRefused) -> SalvageLayout {
    try SalvageLayout(head: head, fileByteCount: fileByteCount, hints: hints)
  }

  private func head(_ dictionary: String, version: UInt8 = 1) -> [UInt8] {
    let start: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, version, 0]
    let length =
      version == 1 ? [UInt8(dictionary.utf8.count), 0] : [UInt8(dictionary.utf8.count), 0, 0, 0]
    return start + length + dictionary.utf8
  }

  private func head(
    descr: String = "<f4", order: String = "False", shape: String = "(100, 8)"
  ) -> [UInt8] {
    head("{'descr': '\(descr)', 'fortran_order': \(order), 'shape': \(shape), }\n")
  }

  @Test func readsAHeader() throws {
    let head = NumPyHeader.canonical(rowCount: 100, dimension: 8, dtype: .float16)
    let found = try layout(head)

    #expect(found.header == .whole)
    #expect(found.claimedRowCount == 100 && found.dimension == 8 && found.dtype == .float16)
    #expect(found.dataOffset == 128 && found.dataByteCount == 100 * 16)
    #expect(found.behindByteCount == 100 * 16)
  }

  @Test(arguments: [UInt8(1), 2, 3])
  func readsEveryVersion(version: UInt8) throws {
    let dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (100, 8), }\n"
    let found = try layout(head(dictionary, version: version))

    #expect(found.claimedRowCount == 100)
    #expect(found.dataOffset == (version == 1 ? 10 : 12) + dictionary.utf8.count)
  }

  @Test func claimsNoMoreBytesThanThereAre() throws {
    for shape in ["(9223372036854775807, 8)", "(200, 8)"] {
      #expect(try layout(head(shape: shape), fileByteCount: 200).dataByteCount < 200)
    }
  }

  @Test func refusesWhatIsNotRowsOfFloats() {
    #expect(throws: SalvageRefused.fortranOrder) { try layout(head(order: "True")) }
    #expect(throws: SalvageRefused.fortranOrder) { try layout(head(order: "True"), Self.given) }
    #expect(throws: SalvageRefused.shape([100])) { try layout(head(shape: "(100,)")) }
    #expect(throws: SalvageRefused.shape([])) { try layout(head(shape: "()")) }
    #expect(throws: SalvageRefused.dimension(0)) { try layout(head(shape: "(100, 0)")) }
    #expect(throws: SalvageRefused.dimension(1 << 21)) {
      try layout(head(shape: "(1, \(1 << 21))"))
    }
    #expect(throws: SalvageRefused.empty) { try layout([], fileByteCount: 0) }
  }

  @Test(arguments: [
    ("<f8", "float64"), (">f4", "big-endian float32"), ("<i8", "int64"), ("|u1", "uint8"),
    ("<f16", "float128"),
  ])
  func namesATypeThatCanBeConverted(descr: String, name: String) {
    // What was given is no reason to read numbers as what they are not.
    for hints in [SalvageHints(), Self.given] {
      #expect(throws: SalvageRefused.dtype(descr, .convertible(name: name))) {
        try layout(head(descr: descr), hints)
      }
    }
  }

  @Test func takesWhatWasGivenForADamagedHeader() throws {
    let whole = NumPyHeader.canonical(rowCount: 100, dimension: 8, dtype: .float32)
    for offset in 0..<70 {
      var head = whole
      head[offset] ^= 0x80
      #expect(throws: SalvageRefused.self, "byte \(offset)") { try layout(head) }
      let found = try layout(head, Self.given)
      #expect(found.dataOffset == 128 && found.dimension == 8, "byte \(offset)")
      #expect(found.claimedRowCount == nil, "byte \(offset)")
    }
  }

  @Test func findsTheEndOfADamagedHeader() {
    let long = [UInt8](repeating: 0, count: 190) + Array(" \n".utf8) + Self.noise
    #expect(HeaderGuess(head: long).byteCount == 192)
    #expect(HeaderGuess(head: Self.noise).byteCount == 128)
    var declared = head("{'descr': broken" + String(repeating: " ", count: 53) + "\n")
    #expect(declared.count == 80)
    declared[0] = 0
    #expect(HeaderGuess(head: declared + Self.noise).byteCount == 80)
    #expect(HeaderGuess(head: []).byteCount == 128)
    #expect(HeaderGuess(head: [0x93, 0x4E]).byteCount == 128)
  }

  private static let noise = (0..<400).map { UInt8($0 % 251) }

  @Test func letsWhatWasGivenOverruleAHeader() throws {
    let head = NumPyHeader.canonical(rowCount: 100, dimension: 8, dtype: .float32)
    let hints = SalvageHints(dimension: 4, dtype: .float16, headerByteCount: 64)
    let found = try layout(head, hints)

    #expect(found.header == .overruled("shape (100, 8), dtype float32, length 128"))
    #expect(found.dimension == 4 && found.dtype == .float16 && found.dataOffset == 64)
    #expect(try layout(head, Self.given).header == .whole)
  }

  @Test func refusesAHeaderLongerThanTheFile() {
    let hints = SalvageHints(headerByteCount: 300)
    #expect(throws: SalvageRefused.headerLonger(byteCount: 300, fileByteCount: 200)) {
      try layout(head(), fileByteCount: 200, hints)
    }
  }
}
