// Readiness of descriptors: epoll(7), level-triggered. Used by EventLoop.swift only.
//
// Level-triggered, since a loop leaves bytes in a socket on purpose (a turn's bound, backpressure)
// and must be told again without keeping an own list of who is still ready.

internal import Foundation
internal import SystemIO

/// The three calls, found by name at run time: no module map of the toolchain or of this package
/// shows sys/epoll.h to Swift.
@safe
struct EpollCalls: Sendable {
  typealias Create = @convention(c) @Sendable (Int32) -> Int32
  typealias Control =
    @convention(c) @Sendable (Int32, Int32, Int32, UnsafeMutableRawPointer?) -> Int32
  typealias Wait = @convention(c) @Sendable (Int32, UnsafeMutableRawPointer?, Int32, Int32) -> Int32

  let create: Create
  let control: Control
  let wait: Wait

  init?() {
    guard let create = unsafe dlsym(nil, "epoll_create1"),
      let control = unsafe dlsym(nil, "epoll_ctl"),
      let wait = unsafe dlsym(nil, "epoll_wait")
    else { return nil }
    // The signatures are those of man 2 epoll_create1, epoll_ctl and epoll_wait.
    self.create = unsafe unsafeBitCast(create, to: Create.self)
    unsafe self.control = unsafe unsafeBitCast(control, to: Control.self)
    unsafe self.wait = unsafe unsafeBitCast(wait, to: Wait.self)
  }
}

/// What a descriptor is ready for.
struct Readiness {
  let token: UInt64
  let canRead: Bool
  let canWrite: Bool
  /// Reset, or closed in both directions: nothing more can be exchanged.
  let isBroken: Bool
}

/// Owns an epoll instance.
@safe
final class Epoll: Sendable {
  private static let eventCountMax = 256
  /// `struct epoll_event` is packed on x86-64 and nowhere else. Source: linux/eventpoll.h.
  #if arch(x86_64)
    private static let eventByteCount = 12
    private static let tokenOffset = 4
  #else
    private static let eventByteCount = 16
    private static let tokenOffset = 8
  #endif
  private static let readable: UInt32 = 0x001
  private static let writable: UInt32 = 0x004
  private static let failed: UInt32 = 0x008
  private static let hungUp: UInt32 = 0x010
  private static let closeOnExec: Int32 = 0o2000000
  private enum Operation: Int32 {
    case add = 1
    case remove, modify
  }

  private let calls: EpollCalls
  private let descriptor: Descriptor

  init() throws(HTTPServerError) {
    guard let calls = EpollCalls() else {
      throw .noResources(operation: "epoll_create1", errno: ENOSYS)
    }
    let number = calls.create(Self.closeOnExec)
    guard number >= 0 else { throw .noResources(operation: "epoll_create1", errno: errno) }
    self.calls = calls
    descriptor = Descriptor(owning: number)
  }

  /// - Returns: false when the kernel has no memory for one more.
  func add(_ number: Int32, token: UInt64, reads: Bool, writes: Bool) -> Bool {
    control(.add, number, token: token, reads: reads, writes: writes)
  }

  func modify(_ number: Int32, token: UInt64, reads: Bool, writes: Bool) {
    _ = control(.modify, number, token: token, reads: reads, writes: writes)
  }

  func remove(_ number: Int32) {
    _ = control(.remove, number, token: 0, reads: false, writes: false)
  }

  private func control(
    _ operation: Operation, _ number: Int32, token: UInt64, reads: Bool, writes: Bool
  ) -> Bool {
    let interest = (reads ? Self.readable : 0) | (writes ? Self.writable : 0)
    return unsafe withUnsafeTemporaryAllocation(byteCount: Self.eventByteCount, alignment: 8) {
      event in
      unsafe event.storeBytes(of: interest, as: UInt32.self)
      unsafe event.storeBytes(of: token, toByteOffset: Self.tokenOffset, as: UInt64.self)
      let number = unsafe calls.control(
        descriptor.number, operation.rawValue, number, event.baseAddress)
      return number == 0
    }
  }

  /// Waits until something is ready or the timeout is over; an interrupted wait is an empty one.
  ///
  /// - Parameters:
  ///   - timeout: nil waits without end.
  ///   - ready: Replaced by what is ready.
  func wait(timeout: Duration?, into ready: inout [Readiness]) {
    let milliseconds = timeout.map { Int32(clamping: ($0.nanoseconds + 999_999) / 1_000_000) } ?? -1
    ready.removeAll(keepingCapacity: true)
    let byteCount = Self.eventCountMax * Self.eventByteCount
    unsafe withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 8) { events in
      let count = unsafe calls.wait(
        descriptor.number, events.baseAddress, Int32(Self.eventCountMax), milliseconds)
      for index in 0..<max(0, Int(count)) {
        let offset = index * Self.eventByteCount
        let flags = unsafe events.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        let token = unsafe events.loadUnaligned(
          fromByteOffset: offset + Self.tokenOffset, as: UInt64.self)
        ready.append(
          Readiness(
            token: token, canRead: flags & Self.readable != 0,
            canWrite: flags & Self.writable != 0,
            isBroken: flags & (Self.failed | Self.hungUp) != 0))
      }
    }
  }
}
