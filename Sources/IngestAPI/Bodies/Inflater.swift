// zlib's inflate: at once for bodies (ZipArchive+Contents.swift), piece by piece for files (ArchiveFile.swift).

internal import CZlib

/// zlib's raw inflate of one member.
@safe
struct Inflater: ~Copyable {
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
      let hasEnded = try step(input, &consumed, output, &produced)
      guard produced <= output.count else {
        throw .brokenZip(reason: "\(name) inflates to more than its \(output.count) bytes")
      }
      if hasEnded { break }
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
  ///
  /// - Returns: Whether the stream has ended.
  @safe
  func step(
    _ input: UnsafeRawBufferPointer, _ consumed: inout Int,
    _ output: UnsafeMutableRawBufferPointer, _ produced: inout Int
  ) throws(BodyError) -> Bool {
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
    guard [Z_OK, Z_BUF_ERROR, Z_STREAM_END].contains(status) else {
      throw .brokenZip(reason: "\(name) is not a deflate stream")
    }
    return status == Z_STREAM_END
  }
}
