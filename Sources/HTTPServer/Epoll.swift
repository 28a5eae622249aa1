// Readiness of descriptors: epoll(7), level-triggered. Used by EventLoop.swift only.
//
// Level-triggered, since a loop leaves bytes in a socket on purpose (a turn's bound, backpressure)
// and must be told again without keeping an own list of who is still ready.

internal import CLinux
internal import Foundation
internal import SystemIO

/// What a descriptor is ready for.
struct Readiness {
  let token: UInt64
  let canRead: Bool
  let canWrite: Bool
  /// Reset, or closed in both directions: nothing more can be exchanged.
  let isBroken: Bool
}

/// Owns an epoll instance. Source: man 2 epoll_create1, epoll_ctl, epoll_wait.
final class Epoll: Sendable {
  private static let eventCountMax = 256
  private static let readable = EPOLLIN.rawValue
  private static let writable = EPOLLOUT.rawValue
  private static let broken = EPOLLERR.rawValue | EPOLLHUP.rawValue

  private let descriptor: Descriptor

  init() throws(HTTPServerError) {
    let number = epoll_create1(Int32(EPOLL_CLOEXEC))
    guard number >= 0 else { throw .noResources(operation: "epoll_create1", errno: errno) }
    descriptor = Descriptor(owning: number)
  }

  /// - Returns: false when the kernel has no memory for one more.
  func add(_ number: Int32, token: UInt64, reads: Bool, writes: Bool) -> Bool {
    control(EPOLL_CTL_ADD, number, token: token, reads: reads, writes: writes)
  }

  func modify(_ number: Int32, token: UInt64, reads: Bool, writes: Bool) {
    _ = control(EPOLL_CTL_MOD, number, token: token, reads: reads, writes: writes)
  }

  func remove(_ number: Int32) {
    _ = control(EPOLL_CTL_DEL, number, token: 0, reads: false, writes: false)
  }

  private func control(
    _ operation: Int32, _ number: Int32, token: UInt64, reads: Bool, writes: Bool
  ) -> Bool {
    let interest = (reads ? Self.readable : 0) | (writes ? Self.writable : 0)
    var event = unsafe epoll_event(events: interest, data: epoll_data_t(u64: token))
    return unsafe epoll_ctl(descriptor.number, operation, number, &event) == 0
  }

  /// Waits until something is ready or the timeout is over; an interrupted wait is an empty one.
  ///
  /// - Parameters:
  ///   - timeout: nil waits without end.
  ///   - ready: Replaced by what is ready.
  func wait(timeout: Duration?, into ready: inout [Readiness]) {
    let milliseconds = timeout.map { Int32(clamping: ($0.nanoseconds + 999_999) / 1_000_000) } ?? -1
    ready.removeAll(keepingCapacity: true)
    unsafe withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: Self.eventCountMax) {
      events in
      let count = unsafe epoll_wait(
        descriptor.number, events.baseAddress, Int32(events.count), milliseconds)
      for index in 0..<max(0, Int(count)) {
        let event = unsafe events[index]
        ready.append(
          Readiness(
            token: unsafe event.data.u64, canRead: unsafe event.events & Self.readable != 0,
            canWrite: unsafe event.events & Self.writable != 0,
            isBroken: unsafe event.events & Self.broken != 0))
      }
    }
  }
}
