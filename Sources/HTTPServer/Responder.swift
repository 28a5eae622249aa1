// The one-shot way from a handler back to its connection, from any thread.

package import HTTPCore
internal import Synchronization

/// Names its exchange by numbers, so that it keeps no connection alive and may outlive it: an answer
/// to a connection that is gone is dropped.
package final class Responder: Sendable {
  private let mailbox: LoopMailbox
  private let address: ExchangeAddress
  private let isSpent = Atomic(false)

  init(mailbox: LoopMailbox, address: ExchangeAddress) {
    self.mailbox = mailbox
    self.address = address
  }

  /// Sends the answer. A second call is a programming error.
  package func send(_ response: Response) {
    let wasSpent = isSpent.exchange(true, ordering: .relaxed)
    precondition(!wasSpent, "a request is answered once")
    mailbox.post(.respond(address, response))
  }

  /// Dropped without an answer: the loop answers 500 in its stead.
  deinit {
    if !isSpent.load(ordering: .relaxed) { mailbox.post(.forsake(address)) }
  }
}

/// Which request of which connection of a loop.
struct ExchangeAddress: Equatable, Sendable {
  let connection: UInt64
  let exchange: UInt64
}
