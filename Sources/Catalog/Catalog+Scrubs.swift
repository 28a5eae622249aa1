// What was verified when, and which scrubs were asked for: what a restart goes on with.

internal import GRDB

/// A scrub that somebody asked for.
package struct CatalogScrub: Equatable, Sendable {
  package enum State: String, Sendable { case running, done, stopped }

  package let number: Int
  /// Nil for all collections.
  package let collection: String?
  /// Nil for all shards.
  package let shard: Int?
  /// Bytes per second; nil for as fast as it goes.
  package let rate: Int?
  package var state: State
  /// Nanoseconds since 1970.
  package let startedAt: Int64
  package var endedAt: Int64?

  package init(
    number: Int, collection: String?, shard: Int?, rate: Int?, state: State, startedAt: Int64,
    endedAt: Int64?
  ) {
    self.number = number
    self.collection = collection
    self.shard = shard
    self.rate = rate
    self.state = state
    self.startedAt = startedAt
    self.endedAt = endedAt
  }
}

extension Catalog {
  /// When each shard was last read and checked whole, in nanoseconds since 1970.
  package func verifiedShards(collection: String) throws -> [Int: Int64] {
    try database.read { database in
      let rows = try Row.fetchAll(
        database, sql: "SELECT shard, verified_at FROM verified_shards WHERE collection = ?",
        arguments: [collection])
      return Dictionary(
        try rows.map { (try $0.count(of: "shard"), try $0.decode(forColumn: "verified_at")) },
        uniquingKeysWith: max)
    }
  }

  package func recordVerified(collection: String, shard: Int, at time: Int64) throws {
    try database.write { database in
      try database.execute(
        sql:
          "INSERT OR REPLACE INTO verified_shards (collection, shard, verified_at) VALUES (?, ?, ?)",
        arguments: [collection, shard, time])
    }
  }

  /// The newest scrubs, in the order of their numbers.
  package func scrubs(limit: Int) throws -> [CatalogScrub] {
    try database.read { database in
      try Row.fetchAll(
        database, sql: "SELECT * FROM scrubs ORDER BY number DESC LIMIT ?", arguments: [limit]
      ).reversed().map { row in
        CatalogScrub(
          number: try row.count(of: "number"), collection: try row.decode(forColumn: "collection"),
          shard: try row.decode(forColumn: "shard"), rate: try row.decode(forColumn: "rate"),
          state: CatalogScrub.State(rawValue: try row.decode(forColumn: "state")) ?? .stopped,
          startedAt: try row.decode(forColumn: "started_at"),
          endedAt: try row.decode(forColumn: "ended_at"))
      }
    }
  }

  package func record(_ scrub: CatalogScrub) throws {
    try database.write { database in
      try database.execute(
        sql: """
          INSERT OR REPLACE INTO scrubs
            (number, collection, shard, rate, state, started_at, ended_at)
          VALUES (?, ?, ?, ?, ?, ?, ?)
          """,
        arguments: [
          scrub.number, scrub.collection, scrub.shard, scrub.rate, scrub.state.rawValue,
          scrub.startedAt, scrub.endedAt,
        ])
    }
  }
}
