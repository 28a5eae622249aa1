// No message waits in a mailbox whose loop sleeps.

import Foundation
import SystemIO
import Testing

@testable import HTTPServer

@Suite struct LoopMailboxTests {
  private static let postCount = 100_000
  private static let posterCount = 2

  /// The loop's own order: wait for the eventfd, make it quiet, take what is there. A message whose wake-up was
  /// swallowed would leave the wait below without an end.
  @Test func wakesItsLoopForEveryMessage() throws {
    let mailbox = try LoopMailbox()
    let posters = (0..<Self.posterCount).map { number in
      NamedThread("poster-\(number)") {
        for _ in 0..<Self.postCount { mailbox.post(.drain) }
      }
    }

    var takenCount = 0
    while takenCount < Self.postCount * Self.posterCount {
      var readiness = pollfd(fd: mailbox.wakeUp.number, events: Int16(POLLIN), revents: 0)
      guard poll(&readiness, 1, 10_000) == 1 else { break }
      mailbox.acknowledgeWakeUp()
      takenCount += mailbox.takeAll().count
    }
    for poster in posters { poster.join() }

    #expect(takenCount == Self.postCount * Self.posterCount)
    #expect(mailbox.isEmpty)
  }
}
