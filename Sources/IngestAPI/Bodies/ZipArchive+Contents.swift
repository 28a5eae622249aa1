// The contents of zip members: in place when stored, inflated into fresh memory when deflated.

internal import CZlib
internal import SystemIO

extension ZipArchive {
  /// The checked bytes of the member `name`.
  func contents(of name: String, budget: inout DecodeBudget) throws(BodyError) -> BodyBytes {
    guard let member = members.first(where: { $0.name == Array(name.utf8) }) else {
      let found = members.prefix(8).map(\.shownName)
      throw .missingMember(name: name, found: found)
    }
    guard let stored = body.slice(at: member.dataOffset, byteCount: member.storedByteCount) else {
      throw .brokenZip(reason: "\(name) is not inside the body")
    }
    let contents = member.isDeflated ? try inflated(stored, member, budget: &budget) : stored
    let found = unsafe ZipCRC32.of(contents.buffer)
    guard found == member.crc32 else {
      throw .memberChecksum(member: name, expected: member.crc32, found: found)
    }
    return contents
  }

  /// Deflate cannot make more than this many bytes from one (zlib's technical notes: 1032:1).
  private static var inflationMax: Int { 1032 }

  private func inflated(
    _ stored: BodyBytes, _ member: ZipMember, budget: inout DecodeBudget
  ) throws(BodyError) -> BodyBytes {
    // Refuses a zip bomb, and a length that is a lie, before memory is taken for it.
    let (needed, overflow) = stored.count.addingReportingOverflow(1)
    guard !overflow, member.byteCount <= budget.remaining else {
      throw .tooLargeDecoded(needed: member.byteCount, max: budget.byteCountMax)
    }
    guard member.byteCount / Self.inflationMax <= needed else {
      throw .brokenZip(reason: "\(member.shownName) cannot inflate to \(member.byteCount) bytes")
    }
    let memory = try budget.take(member.byteCount)
    let inflater = try Inflater(name: member.shownName)
    try unsafe inflater.inflate(stored.buffer, into: memory.mutableBytes)
    return BodyBytes(memory)
  }
}

/// zlib's raw inflate of one member.
@safe
private struct Inflater: ~Copyable {
  /// On the heap, since zlib remembers its address.
  private let stream: UnsafeMutablePointer<z_stream>
  private let name: String

  /// zlib counts in 32 bits, so longer input and output go in pieces.
  private static let pieceByteCountMax = 1 << 30

  init(name: String) throws(BodyError) {
    self.name = name
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    let status = unsafe inflateInit2_(
      stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { throw .inFlightFull(needed: 1 << 16) }
  }

  deinit {
    unsafe _ = inflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// Inflates all of `input` to exactly all of `output`.
  @safe
  func inflate(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) throws(BodyError) {
    var (consumed, produced) = (0, 0)
    while true {
      let before = consumed + produced
      let status = unsafe step(input, &consumed, output, &produced)
      guard produced <= output.count else {
        throw .brokenZip(reason: "\(name) inflates to more than its \(output.count) bytes")
      }
      if status == Z_STREAM_END { break }
      guard status == Z_OK || status == Z_BUF_ERROR else {
        throw .brokenZip(reason: "\(name) is not a deflate stream")
      }
      guard consumed + produced > before else {
        throw .truncatedMember(member: name, expected: output.count, found: produced)
      }
    }
    guard produced == output.count else {
      throw .truncatedMember(member: name, expected: output.count, found: produced)
    }
    guard consumed == input.count else {
      throw .brokenZip(reason: "\(name) has bytes behind its deflate stream")
    }
  }

  /// One call of zlib. Once `output` is full, one more byte goes nowhere, so that a stream which
  /// goes on too long shows: `produced` is then larger than the output.
  private func step(
    _ input: UnsafeRawBufferPointer, _ consumed: inout Int,
    _ output: UnsafeMutableRawBufferPointer, _ produced: inout Int
  ) -> Int32 {
    let inputPiece = min(input.count - consumed, Self.pieceByteCountMax)
    let outputPiece = min(output.count - produced, Self.pieceByteCountMax)
    unsafe stream.pointee.next_in = input.baseAddress.map {
      unsafe UnsafeMutableRawPointer(mutating: $0 + consumed).assumingMemoryBound(to: UInt8.self)
    }
    unsafe stream.pointee.avail_in = UInt32(inputPiece)
    var spill: UInt8 = 0
    let status = unsafe withUnsafeMutablePointer(to: &spill) { spill in
      unsafe stream.pointee.next_out = spill
      unsafe stream.pointee.avail_out = 1
      if outputPiece > 0, let base = output.baseAddress {
        unsafe stream.pointee.next_out = (base + produced).assumingMemoryBound(to: UInt8.self)
        unsafe stream.pointee.avail_out = UInt32(outputPiece)
      }
      return unsafe CZlib.inflate(stream, Z_NO_FLUSH)
    }
    consumed += inputPiece - Int(unsafe stream.pointee.avail_in)
    produced += max(outputPiece, 1) - Int(unsafe stream.pointee.avail_out)
    return status
  }
}
