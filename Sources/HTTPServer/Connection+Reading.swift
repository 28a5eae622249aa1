// From the socket to the handler: heads through the input buffer, bodies past it.

internal import Foundation
internal import HTTPCore
internal import Synchronization
internal import SystemIO

extension Connection {
  /// Receives until the socket is empty, the connection wants no more, or its share of the turn is
  /// used.
  func readInput() {
    var budget = context.configuration.turnByteCountMax
    while budget > 0, state.wantsInput, !isPaused {
      guard let transfer = receive(byteCountMax: budget) else { return }
      switch transfer {
      case .moved(let byteCount):
        budget -= byteCount
        context.counters.receivedBytesTotal.add(byteCount, ordering: .relaxed)
        processInput()
      case .wouldBlock: return
      case .end: endInput()
      case .failed: return lose()
      }
    }
  }

  /// The client ended its side. What is under way can never be whole, but may wait for an answer.
  private func endInput() {
    switch state.phase {
    case .readingHead where !parser.hasSeenEmptyLineOnly:
      refuse(.badFraming(found: "the end of the input", expected: "an empty line"))
    case .readingBody:
      refuse(
        .truncatedBody(
          found: exchange?.incoming.takenByteCount ?? 0, expected: exchange?.head.contentLength))
    case .idle, .readingHead, .awaitingResponse, .responding, .discarding, .closed:
      lose()
    }
  }

  /// - Returns: nil when the receiver refused to lend space.
  private func receive(byteCountMax: Int) -> Transfer? {
    if state.phase == .discarding { return discardInput(byteCountMax: byteCountMax) }
    let dataByteCount = exchange?.incoming.dataByteCount ?? 0
    // Small chunks come many at once through the buffer; their copy is cheaper than their calls.
    let isCounted = exchange?.head.isChunked == false
    if state.phase == .readingBody, isCounted || dataByteCount >= input.capacity {
      return receiveBody(byteCountMax: min(dataByteCount, byteCountMax))
    }
    let transfer = input.receive(from: number)
    if case .moved(let byteCount) = transfer {
      deadlines.progress(byteCount: byteCount, at: context.now)
    }
    return transfer
  }

  /// Straight into the receiver's space.
  private func receiveBody(byteCountMax: Int) -> Transfer? {
    guard let receiver = exchange?.receiver else { return nil }
    do throws(Refusal) {
      let space = unsafe try receiver.space(forAtMost: byteCountMax)
      precondition(unsafe !space.isEmpty, "a receiver lends space or refuses")
      let usable = unsafe UnsafeMutableRawBufferPointer(rebasing: space.prefix(byteCountMax))
      let transfer = unsafe Socket.receive(number, into: usable)
      if case .moved(let byteCount) = transfer {
        deadlines.progress(byteCount: byteCount, at: context.now)
        exchange?.incoming.didTake(byteCount: byteCount)
        try receiver.didReceive(byteCount: byteCount)
      }
      return transfer
    } catch {
      respond(error.response)
      return nil
    }
  }

  private func discardInput(byteCountMax: Int) -> Transfer {
    let transfer = Socket.discard(number, byteCount: byteCountMax)
    if case .moved(let byteCount) = transfer {
      discardedByteCount += byteCount
      if discardedByteCount > context.configuration.discardByteCountMax { return .end }
    }
    return transfer
  }

  /// Works off what is buffered, until more bytes or an answer are needed.
  func processInput() {
    while true {
      switch state.phase {
      case .idle:
        guard input.byteCount > 0 else { return }
        state.didReceiveFirstByte()
        deadlines.enter(.head, at: context.now)
      case .readingHead:
        guard parseHead() else { return }
      case .readingBody:
        guard !isPaused, processBody() else { return }
      case .awaitingResponse, .responding, .discarding, .closed:
        return
      }
    }
  }

  /// - Returns: false when the head is not complete, or was refused.
  private func parseHead() -> Bool {
    do throws(HTTPError) {
      let result = try input.withBytes { bytes throws(HTTPError) in try parser.parse(bytes) }
      guard let result else { return false }
      input.consume(byteCount: result.byteCount)
      begin(result.head)
      return true
    } catch {
      refuse(error)
      return false
    }
  }

  private func begin(_ head: RequestHead) {
    parser = RequestHeadParser(limits: context.configuration.head)
    state.didParse(head)
    deadlines.enter(.working, at: context.now)
    exchange = Exchange(head: head, start: context.now, incoming: IncomingBody(of: head))
    let responder = Responder(
      mailbox: context.mailbox,
      address: ExchangeAddress(connection: token, exchange: state.exchange))
    let receiver = context.handler.begin(head, responder)
    switch state.didBegin(head, takesBody: receiver != nil) {
    case .awaitResponse: return
    case .finish: receiver?.finish(responder)
    case .readBody(let sendsContinue):
      exchange?.receiver = receiver
      exchange?.responder = responder
      deadlines.enter(.body, at: context.now)
      if sendsContinue {
        output.append(ResponseEncoder.continueBytes)
        writeOutput()
      }
    }
  }

  /// - Returns: false when more input is needed, or the body was refused.
  private func processBody() -> Bool {
    do throws(HTTPError) {
      var consumedByteCount = 0
      let event = try input.withBytes { bytes throws(HTTPError) in
        try exchange?.incoming.advance(over: bytes, consumedByteCount: &consumedByteCount)
      }
      input.consume(byteCount: consumedByteCount)
      switch event {
      case nil, .needsInput: return false
      case .finished:
        finishBody()
        return true
      case .data(let byteCount):
        return input.byteCount > 0 && moveToReceiver(byteCountMax: byteCount)
      }
    } catch {
      refuse(error)
      return false
    }
  }

  /// Copies body bytes that came with the head, or in small chunks.
  private func moveToReceiver(byteCountMax: Int) -> Bool {
    guard let receiver = exchange?.receiver else { return false }
    do throws(Refusal) {
      let wanted = min(byteCountMax, input.byteCount)
      let space = unsafe try receiver.space(forAtMost: wanted)
      precondition(unsafe !space.isEmpty, "a receiver lends space or refuses")
      let byteCount = unsafe input.move(
        into: UnsafeMutableRawBufferPointer(rebasing: space.prefix(wanted)))
      exchange?.incoming.didTake(byteCount: byteCount)
      try receiver.didReceive(byteCount: byteCount)
      return true
    } catch {
      respond(error.response)
      return false
    }
  }

  private func finishBody() {
    state.didFinishBody()
    deadlines.enter(.working, at: context.now)
    let (receiver, responder) = (exchange?.receiver, exchange?.responder)
    exchange?.receiver = nil
    exchange?.responder = nil
    if let receiver, let responder { receiver.finish(responder) }
  }
}
