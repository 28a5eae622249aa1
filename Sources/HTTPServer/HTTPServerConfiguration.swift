// Every limit and deadline of the server, with its default. In words: docs/limits.md "HTTP".

package import HTTPCore

package struct HTTPServerConfiguration: Sendable {
  /// A name or an address; `::` takes IPv4 as well.
  package var host = "127.0.0.1"
  /// 0 lets the kernel choose; see ``HTTPServer/boundPort``.
  package var port: UInt16 = 0
  /// Event loops, one thread each; the first also accepts. nil means one per core, at most four.
  package var loopCount: Int?
  /// Connections that the kernel queues until they are accepted.
  package var backlogCount = 512
  /// Connections open at once; those beyond are answered 503.
  package var connectionCountMax = 1024

  /// Size of request head, target and number of fields.
  package var head = RequestHeadLimits()
  /// From the first byte of a head to its last; also from accept to the first byte.
  package var headDeadline = Duration.seconds(10)
  /// Without a byte of the body for that long, the request is given up.
  package var bodyIdleDeadline = Duration.seconds(30)
  /// Mean rate that a body must keep once the grace is over.
  package var bodyBytesPerSecondMin = 1 << 10
  package var bodyRateGrace = Duration.seconds(30)
  /// Between a response and the first byte of the next request.
  package var keepAliveDeadline = Duration.seconds(75)
  /// Without a byte of the response taken by the client for that long, the connection is aborted.
  package var writeStallDeadline = Duration.seconds(30)
  /// How long, and up to how many bytes, input is thrown away behind a last response.
  package var discardDeadline = Duration.seconds(2)
  package var discardByteCountMax = 256 << 20
  /// How long a drain waits for requests in flight.
  package var drainDeadline = Duration.seconds(30)
  /// Bytes that one connection may move before the others of its loop have their turn.
  package var turnByteCountMax = 4 << 20

  package init() {}

  /// Deadlines are looked at that often: a quarter of the shortest, from 10 ms to 1 s.
  var scanInterval: Duration {
    let shortest =
      [
        headDeadline, bodyIdleDeadline, keepAliveDeadline, writeStallDeadline, discardDeadline,
      ].min() ?? .seconds(1)
    return max(.milliseconds(10), min(.seconds(1), shortest / 4))
  }
}
