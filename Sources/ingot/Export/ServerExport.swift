// Exports of a running server, by GET …/export (IngestAPI/Endpoints/Export.swift).

import ArgumentParser
import Foundation
import HTTPCore
import IngestService
import SystemIO

final class ServerExport {
  private let client: ServerClient
  private let path: String
  private let interruption: Interruption
  private let bar: ProgressBar

  /// How long a server that does not answer is asked again.
  private static let patience = Duration.seconds(30)
  /// How often an answer that broke off is asked for again. A server ends one when it finds damage, and leaves
  /// the rows out of the next.
  private static let tryCountMax = 6
  /// How often both files are asked for again when the collection changed between them.
  private static let pairTryCountMax = 20

  init(
    _ address: ServerAddress, collection: String, _ interruption: Interruption,
    _ bar: ProgressBar
  ) {
    client = ServerClient(address, policy: RetryPolicy(patience: Self.patience)) {
      StandardError.write(line: "ingot export: \($0)")
    }
    path = "/v1/collections/\(PercentCoding.encode(collection))/export?format="
    self.interruption = interruption
    self.bar = bar
  }

  /// Which live rows an answer has; equal for two answers of the same rows.
  private struct View: Equatable {
    let rowCount: Int
    let damagedRowCount: Int
    let unusableShardCount: Int
    let sequence: Int
    var byteCount: Int?

    init(_ head: ResponseHead) throws(ClientError) {
      guard let rows = head.number("x-ingot-rows"),
        let damaged = head.number("x-ingot-damaged-rows"),
        let sequence = head.number("x-ingot-sequence")
      else { throw .notUnderstood("the answer is not the export of an Ingot server") }
      rowCount = rows
      damagedRowCount = damaged
      unusableShardCount = head.number("x-ingot-unusable-shards") ?? 0
      self.sequence = sequence
      byteCount = head.number("x-ingot-bytes")
    }

    func isSame(as other: View) -> Bool {
      rowCount == other.rowCount && damagedRowCount == other.damagedRowCount
        && unusableShardCount == other.unusableShardCount && sequence == other.sequence
    }
  }

  private struct Received {
    let view: View
    let crc32c: UInt32
  }

  private enum Outcome {
    case received(Received)
    /// The rows are others than those of the ids.
    case moved
  }

  /// Receives a file and, when they are wanted, the ids of the same rows.
  func write(
    _ format: ExportFormat, _ settings: ExportSettings, _ report: inout ExportReport
  ) throws(Failure) {
    let output = try ExportOutput(settings.out, replaces: settings.replaces, interruption)
    guard let ids = settings.ids else {
      guard case .received(let rows) = try receive(format, into: output, wanted: nil) else {
        return
      }
      try ExportOutput.complete([output], interruption)
      describe(rows, output, &report)
      return
    }
    let idOutput = try ExportOutput(ids, replaces: settings.replaces, interruption)
    for _ in 0..<Self.pairTryCountMax {
      guard case .received(let names) = try receive(.ids, into: idOutput, wanted: nil),
        case .received(let rows) = try receive(format, into: output, wanted: names.view)
      else { continue }
      try ExportOutput.complete([idOutput, output], interruption)
      describe(rows, output, &report)
      report.ids = ExportReport.File(
        path: ids, rows: names.view.rowCount, bytes: idOutput.byteCount,
        crc32c: names.crc32c.hexadecimal)
      return
    }
    throw Failure(
      "the collection changed between ids and rows, \(Self.pairTryCountMax) times; export npz, which has "
        + "both, or when nothing is stored", code: .couldNotRun)
  }

  private func describe(
    _ received: Received, _ output: ExportOutput, _ report: inout ExportReport
  ) {
    report.rows = received.view.rowCount
    report.sequence = received.view.sequence
    report.damagedRows = received.view.damagedRowCount
    report.unusableShards = received.view.unusableShardCount
    report.bytes = output.byteCount
    report.crc32c = received.crc32c.hexadecimal
  }

  /// Receives one file; again when the answer breaks off, and what came can be taken back.
  private func receive(
    _ format: ExportFormat, into output: ExportOutput, wanted: View?
  ) throws(Failure) -> Outcome {
    var delay = 0.25
    for number in 1... {
      do throws(ClientError) { return try receiveOnce(format, into: output, wanted: wanted) } catch
      {
        try interruption.check()
        if case .disk(let error) = error {
          throw Failure(writing: output.path ?? "standard output", error)
        }
        guard case .lost = error, number < Self.tryCountMax, output.canRestart else {
          throw Failure("\(error)", code: .couldNotRun)
        }
        StandardError.write(line: "ingot export: \(error); asking again")
        Thread.sleep(forTimeInterval: delay)
        delay *= 2
      }
    }
    throw Failure("the answer broke off", code: .couldNotRun)
  }

  private func receiveOnce(
    _ format: ExportFormat, into output: ExportOutput, wanted: View?
  ) throws(ClientError) -> Outcome {
    do throws(DiskError) { try output.restart() } catch { throw .disk(error) }
    var view: View?
    var hasMoved = false
    var crc32c: UInt32 = 0
    let answer: ServerClient.Answer
    do throws(ClientError) {
      answer = try client.send(ClientRequest("GET", path + format.rawValue)) {
        head throws(ClientError) in
        let found = try View(head)
        view = found
        hasMoved = wanted.map { !$0.isSame(as: found) } ?? false
        if hasMoved { throw .notUnderstood("the collection changed") }
        do throws(DiskError) { try output.reserve(byteCount: found.byteCount) } catch {
          throw .disk(error)
        }
      } _: { piece throws(DiskError) in
        guard !interruption.isWanted else {
          throw DiskError(operation: "write", path: output.path ?? "", code: EINTR)
        }
        try output.write(piece)
        crc32c = CRC32C.of(piece, continuing: crc32c)
        if let total = view?.byteCount { bar.show(byteCount: output.byteCount, of: total) }
      }
    } catch {
      if hasMoved { return .moved }
      throw error
    }
    guard let view else { throw .notUnderstood("the answer is not the export of an Ingot server") }
    try check(answer, view, crc32c: crc32c, byteCount: output.byteCount)
    return .received(Received(view: view, crc32c: crc32c))
  }

  /// Source: RFC 9530. The digest is a trailer: it is made while the bytes are sent.
  private func check(
    _ answer: ServerClient.Answer, _ view: View, crc32c: UInt32, byteCount: Int
  ) throws(ClientError) {
    if let expected = view.byteCount, expected != byteCount {
      throw .lost("\(byteCount) bytes came, and \(expected) were announced")
    }
    let digest = answer.trailers.first { $0.name == "content-digest" }?.value
    guard let digest else {
      throw .notUnderstood(
        "the answer has no Content-Digest behind its bytes: something between removed it; ask the server "
          + "itself")
    }
    guard digest == "crc32c=:\(crc32c.digestText):" else {
      throw .lost(
        "what came is damaged: its digest is \(crc32c.digestText), the server sent \(digest)")
    }
  }
}

extension ResponseHead {
  fileprivate func number(_ name: String) -> Int? { first(name).flatMap { Int($0) } }
}
