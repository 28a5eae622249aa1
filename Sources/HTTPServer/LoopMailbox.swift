// The only way into an event loop from outside its thread. Emptied by EventLoop.swift.

internal import CLinux
internal import Foundation
internal import HTTPCore
internal import Synchronization
internal import SystemIO

enum LoopMessage: Sendable {
  case adopt(AcceptedSocket)
  case respond(ExchangeAddress, Response)
  case resumeBody(ExchangeAddress)
  /// The handler let go of its responder without an answer.
  case forsake(ExchangeAddress)
  /// Close the listener; signal once no further socket will be handed over.
  case stopAccepting(DispatchSemaphore)
  case drain
  case stop
}

/// A queue and the eventfd that wakes the loop. Its length is bounded by what its senders hold: one
/// accepted socket per connection allowed, at most three messages per responder.
final class LoopMailbox: Sendable {
  private struct State {
    var messages: [LoopMessage] = []
    var isWoken = false
  }

  let wakeUp: Descriptor
  private let state = Mutex(State())
  /// Of the loop, once it runs: posts of the loop to itself need no wake-up.
  private let loopThread = Atomic<UInt>(0)

  init() throws(HTTPServerError) {
    let number = linux_eventfd()
    guard number >= 0 else { throw .noResources(operation: "eventfd", errno: errno) }
    wakeUp = Descriptor(owning: number)
  }

  func belongsToThisThread() { loopThread.store(pthread_self(), ordering: .relaxed) }

  func post(_ message: LoopMessage) {
    let isOwn = loopThread.load(ordering: .relaxed) == pthread_self()
    let mustWake = state.withLock { state in
      state.messages.append(message)
      guard !isOwn, !state.isWoken else { return false }
      state.isWoken = true
      return true
    }
    if mustWake {
      var one: UInt64 = 1
      // Fails only when the counter is full, and then the loop is awake anyway.
      _ = unsafe write(wakeUp.number, &one, 8)
    }
  }

  var isEmpty: Bool { state.withLock { $0.messages.isEmpty } }

  func takeAll() -> [LoopMessage] {
    state.withLock { state in
      defer { state = State() }
      return state.messages
    }
  }

  /// The eventfd is readable: make it quiet again.
  func acknowledgeWakeUp() {
    var count: UInt64 = 0
    _ = unsafe read(wakeUp.number, &count, 8)
  }
}
