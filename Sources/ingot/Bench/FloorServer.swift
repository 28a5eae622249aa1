// A bare server: how fast this machine receives, checksums and syncs bytes when nothing else is done.
// Its client: FloorConnection.swift. It writes while it syncs, as Ingot does.

internal import Foundation
internal import Synchronization
internal import SystemIO

/// Receives whole batches, a thread for each connection, and answers one byte when a batch is durable.
final class FloorServer: Sendable {
  private let file: FloorFile
  private let listener: Descriptor
  /// Receive buffers that no connection uses: fresh memory costs more than the copy into it.
  private let buffers = Mutex<[[UInt8]]>([])

  /// Received and checksummed at a time, so that the checksum finds its bytes in the cache.
  private static let pieceByteCount = 256 << 10
  /// A longer body is a mistake.
  private static let bodyByteCountMax = 1 << 30

  /// - Parameter folder: Where its file goes.
  init(folder: String) throws(BenchError) {
    do throws(DiskError) {
      file = try FloorFile(path: folder + "/floor")
    } catch {
      throw BenchError(error.description)
    }
    let number = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard number >= 0 else { throw .last("socket") }
    listener = Descriptor(owning: number)
    // Port 0: the kernel picks one.
    guard listen(number, SOMAXCONN) == 0 else { throw .last("listen") }
  }

  var port: UInt16 {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    unsafe withUnsafeMutableBytes(of: &address) { bytes in
      _ = unsafe getsockname(
        listener.number, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, &length)
    }
    return UInt16(bigEndian: address.sin_port)
  }

  /// Serves until the process ends.
  func run() {
    _ = NamedThread("floor-sync") { self.file.syncGroups() }
    while true {
      let number = accept(listener.number, nil, nil)
      guard number >= 0 else { continue }
      var noDelay: Int32 = 1
      unsafe _ = setsockopt(
        number, Int32(IPPROTO_TCP), TCP_NODELAY, &noDelay, socklen_t(MemoryLayout<Int32>.size))
      _ = NamedThread("floor") { self.serve(Descriptor(owning: number)) }
    }
  }

  private func serve(_ connection: consuming Descriptor) {
    let number = connection.number
    var buffer = buffers.withLock { $0.popLast() } ?? []
    var length = [UInt8](repeating: 0, count: FloorProtocol.lengthByteCount)
    while unsafe length.withUnsafeMutableBytes({ unsafe Self.receive($0, from: number) }) {
      let byteCount = FloorProtocol.byteCount(length)
      guard (0...Self.bodyByteCountMax).contains(byteCount) else { break }
      if buffer.count < byteCount { buffer = [UInt8](repeating: 0, count: byteCount) }
      let isStored = unsafe buffer.withUnsafeMutableBytes { bytes in
        let body = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<byteCount])
        guard unsafe Self.receiveBody(body, from: number) else { return false }
        return unsafe store(UnsafeRawBufferPointer(body))
      }
      guard isStored, Self.answer(number) else { break }
    }
    buffers.withLock { $0.append(buffer) }
    extendLifetime(connection)
  }

  private func store(_ body: UnsafeRawBufferPointer) -> Bool {
    do throws(DiskError) {
      try unsafe file.store(body)
      return true
    } catch {
      StandardError.write(line: "ingot floor-server: \(error)")
      return false
    }
  }

  /// Receives a whole body and computes its checksum on the way.
  private static func receiveBody(_ body: UnsafeMutableRawBufferPointer, from number: Int32) -> Bool
  {
    var checksum: UInt32 = 0
    for start in stride(from: 0, to: body.count, by: pieceByteCount) {
      let range = start..<min(start + pieceByteCount, body.count)
      let piece = unsafe UnsafeMutableRawBufferPointer(rebasing: body[range])
      guard unsafe receive(piece, from: number) else { return false }
      checksum = CRC32C.of(UnsafeRawBufferPointer(piece), continuing: checksum)
    }
    return true
  }

  /// - Returns: False when the connection ends before `space` is full.
  private static func receive(_ space: UnsafeMutableRawBufferPointer, from number: Int32) -> Bool {
    var done = 0
    while done < space.count {
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: space[done...])
      let count = unsafe recv(number, rest.baseAddress, rest.count, Int32(MSG_WAITALL))
      if count > 0 { done += count } else if count == 0 || errno != EINTR { return false }
    }
    return true
  }

  private static func answer(_ number: Int32) -> Bool {
    var answer: UInt8 = 1
    return unsafe send(number, &answer, 1, Int32(MSG_NOSIGNAL)) == 1
  }
}
