// `ingot reconcile`: compares a collection with the database that says what should be in it.
// What it does, in order: Reconciliation.swift.

import ArgumentParser
import Foundation
import IngestService

struct ReconcileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reconcile",
    abstract: "Compares the ids of your SQLite database with those of a collection.",
    discussion: """
      Asks the database for ids, opened read-only, and looks each of them up. Ids are MISSING when the database has them \
      and the store has not (or they were deleted), EXTRA when the store has them and the database has not, and \
      QUARANTINED when their row is damaged and was taken out of service; `ingot verify` reads every byte, this \
      command goes by what is known. Missing and quarantined ids are those to embed again.

      With --store the store must not be served at the same time; with --url its server is asked.

      POSITIONS. --map is a query with two columns, id and index: each id is expected at that row of the collection, \
      counted from 0 through all shards, as it is in a collection that `ingot salvage` filled first and without loss inside. \
      NULL as index is not compared. It needs --store.

      LISTS have one id on each line, and get their names when they are complete. One that is there is replaced with --force, \
      else the exit code is 5; none may lie within a store.

      Memory: 16 bytes for each id of the database at most, by whose 64-bit hashes extra ids are found; nothing else grows \
      with the number of ids.

      EXIT CODES: 0 nothing is missing, quarantined or out of place; 1 something is; 2 a file, the store or the server cannot \
      be used; 3 the store is in use; 4 the database or the query cannot be used as asked; 5 a list is there already; 64 a \
      setting is wrong; 130 it was stopped by SIGINT or SIGTERM, and no list was written.

      EXAMPLES:
        ingot reconcile --store ./ingot-data --collection clip --database images.db \\
          --query "select path from images where embedding_index is not null" --missing-to missing.txt --force
        ingot reconcile --url http://127.0.0.1:8080 --database images.db --query "select id from images" --json
        ingot reconcile --store ./ingot-data --database images.db --map "select path, embedding_index from images"
      """)

  @Option(help: ArgumentHelp("Store that is not being served.", valueName: "DIR"))
  var store: String?
  @Option(help: ArgumentHelp("A running server, as http://127.0.0.1:8080.", valueName: "URL"))
  var url: String?
  @Option(help: ArgumentHelp("Collection to compare with.", valueName: "C"))
  var collection = "default"
  @Option(help: ArgumentHelp("Your SQLite file.", valueName: "FILE"))
  var database: String
  @Option(help: ArgumentHelp("Gives the ids that should be in the store.", valueName: "SQL"))
  var query: String?
  @Option(help: ArgumentHelp("Gives ids and the rows that they should have.", valueName: "SQL"))
  var map: String?
  @Option(help: ArgumentHelp("Writes the missing ids.", valueName: "FILE"))
  var missingTo: String?
  @Option(help: ArgumentHelp("Writes the extra ids.", valueName: "FILE"))
  var extraTo: String?
  @Option(help: ArgumentHelp("Writes the quarantined ids.", valueName: "FILE"))
  var quarantinedTo: String?
  @Flag(help: "Replaces lists that are there.")
  var force = false
  @Flag(help: "Prints one JSON object.")
  var json = false
  @Flag(help: "Prints a line every 10 seconds where standard error is no terminal.")
  var progress = false

  func validate() throws {
    try ServerAddress.checkIsEither(store: store, url: url)
    try outputs.checkNames()
    guard query != nil || map != nil else {
      throw ValidationError("--query or --map is needed")
    }
    guard map == nil || store != nil else {
      throw ValidationError("--map needs --store: a server does not tell the positions of rows")
    }
    guard query != nil || [missingTo, extraTo, quarantinedTo].allSatisfy({ $0 == nil }) else {
      throw ValidationError("lists of ids need --query")
    }
    guard Collection.isValidName(collection) else {
      throw ValidationError(
        "--collection: '\(collection)' is no name: 1 to 63 of a-z, 0-9, '.', '_' and '-'")
    }
    if let url { _ = try ServerAddress(option: url) }
  }

  var outputs: OutputFiles {
    OutputFiles([
      "--missing-to": missingTo, "--extra-to": extraTo, "--quarantined-to": quarantinedTo,
    ])
  }

  func run() throws {
    let report = try Reconciliation(self).run()
    try StandardOutput.write(json ? report.json : report.text)
    if !report.isComplete { throw ExitCode.damage }
  }

  /// The side that the database is compared with.
  func side() throws -> any ReconcileSide {
    if let store { return try StoreSide(root: store, collection: collection) }
    return ServerSide(
      ServerClient(try ServerAddress(option: url ?? ""), policy: .standard), collection: collection)
  }
}
