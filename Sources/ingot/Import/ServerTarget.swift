// Sends batches to a running server, one behind the other: their order decides which row of an id is the newest.

import HTTPCore
import IngestAPI
import ShardStore
import SystemIO

final class ServerTarget: ImportTarget {
  private let client: ServerClient
  private var thread: NamedThread?
  private let state = Monitor(State())

  private struct State {
    /// One is sent while the next is prepared.
    var waiting: ImportBatch?
    var hasEnded = false
    var tally = ImportTally()
    var failure: Failure?
  }

  init(_ client: ServerClient) { self.client = client }

  var tally: ImportTally { state.withLock { $0.tally } }

  private struct Shape: Decodable {
    let dimension: Int
    let dtype: String
  }

  func shape(of collection: String) throws(Failure) -> CollectionShape? {
    do throws(ClientError) {
      let found = try client.getIfThere(
        Self.path(collection), as: Shape.self, unknownCode: "collection-unknown")
      guard let found, let dtype = ImportCommand.dtype(named: found.dtype) else { return nil }
      return CollectionShape(dimension: found.dimension, dtype: dtype)
    } catch {
      throw Failure(error)
    }
  }

  func begin(_ collection: String, _ shape: CollectionShape) throws(Failure) {
    let path = Self.path(collection)
    let wanted = #"{"dimension":\#(shape.dimension),"dtype":"\#(shape.dtype.name)"}"#
    do throws(ClientError) {
      _ = try client.document("PUT", path, json: wanted, as: Shape.self)
    } catch {
      throw Failure(error)
    }
    // From here on the client belongs to the thread.
    let sender = BatchSender(client: client, collectionPath: path)
    thread = NamedThread("ingot-send") { [state] in
      while let batch = Self.next(state) {
        do throws(ClientError) {
          let isKnown = try sender.store(batch)
          state.change { $0.tally.count(batch.batch, isKnown: isKnown) }
        } catch {
          let failure = Failure(error)
          state.change { $0.failure = failure }
          return
        }
      }
    }
  }

  private static func next(_ state: Monitor<State>) -> ImportBatch? {
    let found: ImportBatch?? = state.wait { state in
      guard let batch = state.waiting else { return state.hasEnded ? .some(nil) : nil }
      state.waiting = nil
      return .some(batch)
    }
    // Wakes who waits for the place.
    state.change { _ in }
    return found ?? nil
  }

  func store(_ batch: ImportBatch) throws(Failure) {
    let failure: Failure?? = state.wait { state in
      if let failure = state.failure { return .some(failure) }
      return state.waiting == nil ? .some(nil) : nil
    }
    if let failure = failure ?? nil { throw failure }
    state.change { $0.waiting = batch }
  }

  func finish() throws(Failure) {
    state.change { $0.hasEnded = true }
    thread?.join()
    thread = nil
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }

  static func path(_ collection: String) -> String {
    "/v1/collections/\(PercentCoding.encode(collection))"
  }
}

/// Stores batches in a collection of a server. Used by one thread.
private final class BatchSender: @unchecked Sendable {
  private let client: ServerClient
  private let collectionPath: String
  private let form = BatchForm()

  private struct Receipt: Decodable {
    let sequence: Int
  }

  init(client: ServerClient, collectionPath: String) {
    self.client = client
    self.collectionPath = collectionPath
  }

  /// - Returns: Whether an earlier run had stored it.
  func store(_ batch: ImportBatch) throws(ClientError) -> Bool {
    let path = "\(collectionPath)/batches/\(batch.id)"
    let known = try client.getIfThere(path, as: Receipt.self, unknownCode: "batch-unknown")
    if known != nil { return true }
    _ = try client.document(of: form.request(batch.batch, path: path), as: Receipt.self)
    return false
  }
}

extension Failure {
  /// The statuses by which a server says that it is the data's fault.
  private static let dataStatuses = [400, 409, 413, 415, 422]

  init(_ error: ClientError) {
    if case .refused(let problem) = error, Self.dataStatuses.contains(problem.status) {
      self.init("\(error)", code: .inputUnusable)
    } else {
      self.init("\(error)", code: .couldNotRun)
    }
  }
}
