// A server that a database is compared with, asked by POST …/missing and GET …/ids. The client: ServerClient.swift.

import ArgumentParser
import Foundation
import ShardStore
import SystemIO

final class ServerSide: ReconcileSide {
  private let client: ServerClient
  private let base: String

  init(_ client: ServerClient, collection: String) {
    self.client = client
    base = "/v1/collections/\(collection)"
  }

  private struct Absent: Decodable {
    let id: String
    let state: String
  }

  func states(of ids: IDList) throws -> [IDState] {
    var request = ClientRequest("POST", base + "/missing")
    request.fields.append(("Accept", "application/x-ndjson"))
    request.isIdempotent = true
    let strings = (0..<ids.count).map { ids.string($0) }
    request.setJSON(String(decoding: try JSONEncoder().encode(strings), as: UTF8.self))
    var lines = LineSplitter()
    var absent: [Absent] = []
    try send(request, lines: &lines) { line in
      absent.append(try JSONDecoder().decode(Absent.self, from: Data(line)))
    }
    return try Self.states(of: strings, absent: absent)
  }

  /// The answer names those that are absent, in the order of the question.
  private static func states(of ids: [String], absent: [Absent]) throws -> [IDState] {
    var rest = absent[...]
    let states = ids.map { id -> IDState in
      // By their bytes: two texts that are written differently and read alike are two ids.
      guard let next = rest.first, next.id.utf8.elementsEqual(id.utf8) else {
        return .there(position: nil)
      }
      rest.removeFirst()
      switch next.state {
      case "quarantined": return .quarantined
      case "deleted": return .deleted
      default: return .missing
      }
    }
    guard rest.isEmpty else {
      throw Failure("the server named ids that it was not asked for", code: .couldNotRun)
    }
    return states
  }

  func forEachID(_ take: (ArraySlice<UInt8>) throws -> Void) throws {
    var request = ClientRequest("GET", base + "/ids")
    request.fields.append(("Accept", "application/x-ndjson"))
    var lines = LineSplitter()
    try send(request, lines: &lines) { line in
      // Most ids need no escapes, and are as they stand between the quotes.
      if line.count >= 2, !line.contains(UInt8(ascii: "\\")) {
        try take(line.dropFirst().dropLast())
      } else {
        let id = try JSONDecoder().decode(String.self, from: Data(line))
        try take(Array(id.utf8)[...])
      }
    }
  }

  func close() {}

  /// Sends a request and goes through the lines of its answer.
  private func send(
    _ request: ClientRequest, lines: inout LineSplitter,
    _ take: (ArraySlice<UInt8>) throws -> Void
  ) throws {
    var problem: (any Error)?
    do throws(ClientError) {
      _ = try client.send(request) { piece throws(DiskError) in
        guard problem == nil else { return }
        do { try lines.split(unsafe [UInt8](piece), take) } catch { problem = error }
      }
    } catch {
      throw Failure("\(client.address.url): \(error)", code: .couldNotRun)
    }
    if problem == nil { do { try lines.finish(take) } catch { problem = error } }
    switch problem {
    case nil: return
    case let error as DecodingError:
      throw Failure(
        "\(client.address.url): the answer is not that of an Ingot server: \(error)",
        code: .couldNotRun)
    case let error?: throw error
    }
  }
}

/// Lines of an answer that comes in pieces.
private struct LineSplitter {
  private var pending: [UInt8] = []

  mutating func split(
    _ piece: [UInt8], _ take: (ArraySlice<UInt8>) throws -> Void
  ) throws {
    pending += piece
    var start = 0
    while let end = pending[start...].firstIndex(of: UInt8(ascii: "\n")) {
      try take(pending[start..<end])
      start = end + 1
    }
    pending.removeSubrange(..<start)
  }

  func finish(_ take: (ArraySlice<UInt8>) throws -> Void) throws {
    if !pending.isEmpty { try take(pending[...]) }
  }
}
