// The contents of zip members: in place when stored, inflated into fresh memory when deflated.

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
