// Accepting after a shortage, and a name with several addresses.

import Foundation
import SystemIO
import Testing

@testable import HTTPServer

@Suite struct AcceptingTests {
  @Test func isTriedAgainWhenTheListenerCannotBeAddedYet() throws {
    let (mailbox, epoll) = (try LoopMailbox(), try Epoll())
    let listener = try ListenerSocket(configuration: HTTPServerConfiguration())
    let loop = EventLoop(
      setup: LoopSetup(
        index: 0, configuration: HTTPServerConfiguration(), handler: pathHandler(),
        counters: HTTPServerCounters(), epoll: epoll, mailboxes: [mailbox]),
      listener: listener)
    // The kernel adds nothing twice, which stands for every other reason.
    #expect(
      epoll.add(listener.number, token: EventLoop.Token.listener, reads: true, writes: false))

    loop.resumeAccepting()
    #expect(loop.acceptsAgainAt != nil)

    epoll.remove(listener.number)
    loop.resumeAccepting()
    #expect(loop.acceptsAgainAt == nil)
  }

  @Test(arguments: [
    (EADDRNOTAVAIL, true), (EAFNOSUPPORT, true), (EADDRINUSE, false), (EACCES, false),
    (EMFILE, false),
  ]) func anotherAddressIsTriedWhenThisMachineHasNotTheFirst(code: Int32, isTried: Bool) {
    let error = ListenerSocket.bindError(code, "bind", HTTPServerConfiguration())

    #expect(error.isOfTheAddressOnly == isTried)
  }
}
