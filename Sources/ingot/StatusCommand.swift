// `ingot status`: what is in a store, read from its files or asked of the server that has it open.

import ArgumentParser
import Foundation
import IngestService
import SystemIO

struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Shows the collections of a store or of a running server.",
    discussion: """
      Exits with 2 when neither store nor server answers, and with 3 when the store is in use: then ask the \
      server with --url.
      """)

  @Option(help: ArgumentHelp("The directory of a store that is not in use.", valueName: "dir"))
  var store: String?

  @Option(help: ArgumentHelp("A running server, as http://127.0.0.1:8080.", valueName: "url"))
  var url: String?

  @Flag(help: "Prints one JSON object.")
  var json = false

  func validate() throws {
    try ServerAddress.checkIsEither(store: store, url: url)
    if let url { _ = try ServerAddress(option: url) }
  }

  func run() throws {
    let status: Status
    if let store {
      status = try Self.status(ofStore: store)
    } else {
      let address = try ServerAddress(option: url ?? "")
      do throws(ClientError) {
        status = try Self.status(of: ServerClient(address, policy: .once))
      } catch {
        StandardError.write(line: "ingot status: \(address.url): \(error)")
        throw ExitCode.couldNotRun
      }
    }
    try StandardOutput.write(json ? status.json : status.text)
  }
}

// MARK: - From files

extension StatusCommand {
  private static func status(ofStore root: String) throws -> Status {
    do throws(StoreProblem) {
      let lock = try StoreVerifier.lock(root: root)
      let listings = try StoreVerifier(root: root).list()
      _ = consume lock
      return Status(
        collections: listings.map {
          Status.Collection(
            name: $0.name, dimension: $0.dimension, dtype: $0.dtype, rows: $0.rowCount,
            shards: $0.shardCount, batches: $0.batchCount, bytes: $0.byteCount)
        },
        problems: listings.flatMap { listing in
          listing.problems.map { "collection \(listing.name): \($0)" }
        })
    } catch {
      let code = error.exit(printing: "ingot status: ")
      if case .inUse = error { StandardError.write(line: "ask its server: ingot status --url URL") }
      throw code
    }
  }
}

// MARK: - From a server

extension StatusCommand {
  private struct Collections: Decodable { let collections: [Status.Collection] }

  private static func status(of server: ServerClient) throws(ClientError) -> Status {
    let found = try server.get("/v1/collections", as: Collections.self)
    var status = Status(collections: found.collections, problems: [])
    status.health = try server.get("/health", as: Status.Health.self, accepting: [503])
    status.disk = try server.get("/disk", as: Status.Disk.self)
    return status
  }
}

// MARK: - What is shown

/// Collections, and what only a server knows.
private struct Status: Encodable {
  struct Collection: Codable {
    let name: String
    let dimension: Int
    let dtype: String
    let rows: Int
    let shards: Int
    let batches: Int
    let bytes: Int
  }

  struct Health: Codable {
    let status: String
  }

  struct Disk: Codable {
    let freeBytes: Int
    let reserveBytes: Int
    let accepting: Bool

    enum CodingKeys: String, CodingKey {
      case freeBytes = "free_bytes"
      case reserveBytes = "reserve_bytes"
      case accepting
    }
  }

  var collections: [Collection]
  var problems: [String]
  var health: Health?
  var disk: Disk?

  var json: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }
  }

  var text: String {
    let head = ["collection", "dimension", "dtype", "rows", "shards", "sequence", "bytes"]
    let cells =
      [head]
      + collections.map {
        [
          $0.name, "\($0.dimension)", $0.dtype, "\($0.rows)", "\($0.shards)", "\($0.batches)",
          "\($0.bytes)",
        ]
      }
    let widths = head.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
    var lines = cells.map { row in
      row.indices.map { column in
        let space = String(repeating: " ", count: widths[column] - row[column].count)
        // Words to the left, numbers to the right.
        return column == 0 || column == 2 ? row[column] + space : space + row[column]
      }.joined(separator: "  ")
    }
    if let health { lines.append("health: \(health.status)") }
    if let disk {
      lines.append(
        "disk: \(disk.freeBytes) bytes free, reserve \(disk.reserveBytes), "
          + (disk.accepting ? "accepting" : "not accepting"))
    }
    lines += problems.map { "problem: \($0)" }
    return lines.map { $0 + "\n" }.joined()
  }
}
