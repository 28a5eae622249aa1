// Receives one body into memory of the pool, within what was admitted. Used for batches and small requests.

internal import HTTPCore
internal import HTTPServer
internal import IngestService

/// Takes a whole body, then hands it on. Counted bodies go straight to their place.
final class CollectedBody: BodyReceiver {
  private let pool: BodyPool
  private let permit: Admission.Permit
  private let byteCountMax: Int
  /// Nil when the body comes in chunks.
  private let declaredByteCount: Int?
  private var body: PooledBody?
  private var byteCount = 0
  private let complete: (Received, Responder) -> Void

  /// A whole body, and the permit that counts it.
  struct Received: Sendable {
    let body: PooledBody
    let permit: Admission.Permit
  }

  /// First piece of a body whose length was not declared.
  static let firstByteCount = 256 << 10

  init(
    pool: BodyPool, permit: Admission.Permit, declaredByteCount: Int?, byteCountMax: Int,
    complete: @escaping (Received, Responder) -> Void
  ) {
    self.pool = pool
    self.permit = permit
    self.declaredByteCount = declaredByteCount
    self.byteCountMax = byteCountMax
    self.complete = complete
  }

  func space(forAtMost byteCount: Int) throws(Refusal) -> UnsafeMutableRawBufferPointer {
    let body: PooledBody
    if let found = self.body {
      body = found
    } else {
      body = pool.body(byteCount: declaredByteCount ?? Self.firstByteCount)
      self.body = body
    }
    if self.byteCount < body.capacity {
      return unsafe body.space(from: self.byteCount)
    }
    let larger = try enlarged(body)
    self.body = larger
    return unsafe larger.space(from: self.byteCount)
  }

  func didReceive(byteCount: Int) throws(Refusal) {
    self.byteCount += byteCount
    guard self.byteCount <= byteCountMax else {
      throw Refusal(Problem.bodyTooLarge(found: nil, max: byteCountMax).response)
    }
  }

  func finish(_ responder: Responder) {
    let body = self.body ?? pool.body(byteCount: 0)
    self.body = nil
    body.byteCount = byteCount
    complete(Received(body: body, permit: permit), responder)
  }

  /// Twice the room, with what was received so far.
  private func enlarged(_ body: PooledBody) throws(Refusal) -> PooledBody {
    let more = min(body.capacity, max(1, byteCountMax + 1 - body.capacity))
    guard permit.grow(by: more) else {
      throw Refusal(Problem(.inFlightLimit(byteCountMax: permit.limit)).response)
    }
    let larger = pool.body(byteCount: body.capacity + more)
    body.byteCount = byteCount
    unsafe larger.space(from: 0).copyMemory(from: body.bytes)
    return larger
  }
}
