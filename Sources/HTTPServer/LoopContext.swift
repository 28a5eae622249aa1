// What every connection of one event loop shares.

internal import HTTPCore
internal import SystemIO

/// Confined to the loop's thread.
final class LoopContext {
  let configuration: HTTPServerConfiguration
  let handler: any RequestHandler
  let counters: HTTPServerCounters
  let mailbox: LoopMailbox
  let epoll: Epoll
  /// Taken once per turn.
  var now = MonotonicTime.now
  private var dateSecond = 0
  private var dateText = ""

  init(
    configuration: HTTPServerConfiguration, handler: any RequestHandler,
    counters: HTTPServerCounters, mailbox: LoopMailbox, epoll: Epoll
  ) {
    self.configuration = configuration
    self.handler = handler
    self.counters = counters
    self.mailbox = mailbox
    self.epoll = epoll
  }

  /// The Date field of a response that starts now.
  var date: String {
    let second = Int(MonotonicTime.wallClockNanoseconds / 1_000_000_000)
    if second != dateSecond {
      dateSecond = second
      dateText = HTTPDate.format(secondsSince1970: max(0, second))
    }
    return dateText
  }
}
