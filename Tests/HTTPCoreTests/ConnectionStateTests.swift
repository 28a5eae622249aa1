// The decisions of a connection, without sockets. The machine:
// Sources/HTTPCore/ConnectionState.swift.

import HTTPCore
import Testing

@Suite struct ConnectionStateTests {
  private let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
  private let post =
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

  private func head(_ text: String) throws -> RequestHead { try #require(try parseHead(text)) }

  @Test func keepsTheConnectionAfterAWholeExchange() throws {
    var state = ConnectionState()
    let head = try head(post)

    state.didReceiveFirstByte()
    state.didParse(head)
    let order = state.didBegin(head, takesBody: true)
    state.didFinishBody()
    let keepsAlive = state.respond(closes: false)
    let after = state.didWriteResponse()
    let (phase, exchange) = (state.phase, state.exchange)

    #expect(order == .readBody(sendsContinue: true))
    #expect(keepsAlive == true)
    #expect(after == .readNextRequest)
    #expect(phase == .idle)
    #expect(exchange == 1)
  }

  @Test func closesAfterAnAnswerToAnUnreadBody() throws {
    var state = ConnectionState()
    let head = try head(post)

    state.didReceiveFirstByte()
    state.didParse(head)
    let order = state.didBegin(head, takesBody: false)
    let wantedInput = state.wantsInput
    let keepsAlive = state.respond(closes: false)
    let after = state.didWriteResponse()
    let wantsInputAfter = state.wantsInput

    #expect(order == .awaitResponse)
    #expect(!wantedInput)
    #expect(keepsAlive == false)
    #expect(after == .discard)
    #expect(wantsInputAfter)
  }

  @Test func finishesAtOnceWithoutABody() throws {
    var state = ConnectionState()
    let head = try head(get)

    state.didReceiveFirstByte()
    state.didParse(head)
    let order = state.didBegin(head, takesBody: true)
    let (isOpen, wantsInput) = (state.hasOpenExchange, state.wantsInput)

    #expect(order == .finish)
    #expect(isOpen)
    #expect(!wantsInput)
  }

  @Test func takesOneAnswerOnly() throws {
    var state = ConnectionState()
    let head = try head(get)

    state.didReceiveFirstByte()
    state.didParse(head)
    let first = state.respond(closes: false)
    let second = state.respond(closes: false)

    #expect(first == true)
    #expect(second == nil)
  }

  @Test func endsWithTheAnswerWhileDraining() throws {
    var state = ConnectionState()
    let head = try head(get)

    state.didReceiveFirstByte()
    state.didParse(head)
    state.drain()
    let couldClose = state.canCloseNow
    let keepsAlive = state.respond(closes: false)

    #expect(!couldClose)
    #expect(keepsAlive == false)
  }

  @Test func closesAnIdleConnectionWhileDraining() {
    var state = ConnectionState()

    state.drain()
    let canClose = state.canCloseNow

    #expect(canClose)
  }
}
