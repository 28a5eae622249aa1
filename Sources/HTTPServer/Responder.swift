// The one-shot way from a handler back to its connection, from any thread.

package import HTTPCore
internal import Synchronization

/// Names its exchange by numbers, so that it keeps no connection alive and may outlive it: an
/// answer to a connection that is gone is dropped.
package final class Responder: Sendable {
  private enum Target: Sendable {
    case loop(LoopMailbox, ExchangeAddress)
    case closure(@Sendable (Response?) -> Void)
  }

  private let target: Target
  private let isSpent = Atomic(false)

  init(mailbox: LoopMailbox, address: ExchangeAddress) { target = .loop(mailbox, address) }

  /// A responder without a connection, to run handlers in memory.
  ///
  /// - Parameter deliver: Called once, with nil when the responder was dropped without an answer.
  package init(deliver: @escaping @Sendable (Response?) -> Void) { target = .closure(deliver) }

  /// Sends the answer. A second call is a programming error.
  package func send(_ response: Response) {
    let wasSpent = isSpent.exchange(true, ordering: .relaxed)
    precondition(!wasSpent, "a request is answered once")
    switch target {
    case .loop(let mailbox, let address): mailbox.post(.respond(address, response))
    case .closure(let deliver): deliver(response)
    }
  }

  /// The receiver of the body takes more again; see ``BodyReceiver/isFull``.
  package func resumeBody() {
    if case .loop(let mailbox, let address) = target { mailbox.post(.resumeBody(address)) }
  }

  /// Dropped without an answer: the loop answers 500 in its stead.
  deinit {
    guard !isSpent.load(ordering: .relaxed) else { return }
    switch target {
    case .loop(let mailbox, let address): mailbox.post(.forsake(address))
    case .closure(let deliver): deliver(nil)
    }
  }
}

/// Which request of which connection of a loop.
struct ExchangeAddress: Equatable, Sendable {
  let connection: UInt64
  let exchange: UInt64
}
