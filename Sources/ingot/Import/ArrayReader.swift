// One `.npy` array of a source, read piece by piece. Its header: IngestAPI/Bodies/ArrayForm.swift.

import IngestAPI
import SystemIO

final class ArrayReader {
  let form: ArrayForm
  private let stream: any ByteStream
  /// The path, and the member where there is one.
  private let shownName: String
  /// Elements that were read together with the header.
  private let start: HeapBodyMemory
  private var unread: Range<Int>

  /// - Parameters:
  ///   - name: What the array is: `ids` or `embeddings`.
  ///   - shownName: Where it is, for messages.
  init(_ name: String, _ stream: any ByteStream, shownName: String) throws(Failure) {
    self.stream = stream
    self.shownName = shownName
    start = HeapBodyMemory(byteCount: min(stream.byteCount, ArrayForm.headerByteCountMax))
    let count = try unsafe stream.read(into: start.mutableBytes)
    do throws(BodyError) { form = try ArrayForm(name: name, start: start) } catch {
      throw Failure("\(shownName): \(error.fileDetail)", code: .inputUnusable)
    }
    unread = min(form.headerByteCount, count)..<count
    let found = stream.byteCount - form.headerByteCount
    // Bytes behind the array do no harm, and NumPy reads over them.
    guard found >= form.dataByteCount else { throw tooShort(found: found) }
  }

  private func tooShort(found: Int) -> Failure {
    let rowByteCount = form.shape.dropFirst().reduce(form.elementByteCount, *)
    let shape = form.shape.map(String.init).joined(separator: ", ")
    return Failure(
      "\(shownName): the header says (\(shape)) and \(found / max(1, rowByteCount)) whole rows are "
        + "there: the file was cut, or not written to its end. ingot salvage takes out what is whole",
      code: .inputUnusable)
  }

  /// The next elements.
  func read(elementCount: Int) throws(Failure) -> HeapBodyMemory {
    let memory = HeapBodyMemory(byteCount: elementCount * form.elementByteCount)
    let early = min(unread.count, unsafe memory.bytes.count)
    let from = unread.lowerBound..<(unread.lowerBound + early)
    unsafe memory.mutableBytes.copyMemory(
      from: UnsafeRawBufferPointer(rebasing: start.bytes[from]))
    unread = from.upperBound..<unread.upperBound
    let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: memory.mutableBytes[early...])
    guard try unsafe stream.read(into: rest) == rest.count else {
      throw Failure(
        "\(shownName): became shorter while it was read; run again when it is whole",
        code: .inputUnusable)
    }
    return memory
  }

  /// Reads and drops what is left, so that a checksum at the end is looked at.
  func readToEnd(_ progress: (_ byteCount: Int) -> Void = { _ in }) throws(Failure) {
    let memory = HeapBodyMemory(byteCount: 1 << 20)
    while true {
      let count = try unsafe stream.read(into: memory.mutableBytes)
      if count == 0 { return }
      progress(count)
    }
  }
}
