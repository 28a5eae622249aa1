// Stores batches in a store that is not being served, through the same service that `serve` uses.

import ArgumentParser
import Foundation
import IngestService
import Logging
import ShardStore
import SystemIO

final class StoreTarget: ImportTarget {
  private let root: String
  private let configuration: ServiceConfiguration
  private var lock: StoreLock?
  private var service: IngestService?
  private var collection: Collection?
  private let state = Monitor(State())

  private struct State {
    var inFlightByteCount = 0
    var tally = ImportTally()
    var failure: Failure?
  }

  /// Some batches at once, so that a sync serves more than one.
  private static let inFlightByteCountMax = 32 << 20

  /// Locks the store when it is there.
  init(root: String, configuration: ServiceConfiguration) throws(Failure) {
    self.root = root
    self.configuration = configuration
    guard FileManager.default.fileExists(atPath: root) else { return }
    do throws(StoreProblem) { lock = try StoreVerifier.lock(root: root) } catch {
      throw Failure(error)
    }
  }

  var tally: ImportTally { state.withLock { $0.tally } }

  func shape(of collection: String) throws(Failure) -> CollectionShape? {
    guard FileManager.default.fileExists(atPath: root + "/store.json") else { return nil }
    do throws(StoreProblem) {
      let listings = try StoreVerifier(root: root).list()
      guard let found = listings.first(where: { $0.name == collection }),
        let dtype = ImportCommand.dtype(named: found.dtype)
      else { return nil }
      return CollectionShape(dimension: found.dimension, dtype: dtype)
    } catch {
      throw Failure(error)
    }
  }

  func begin(_ name: String, _ shape: CollectionShape) throws(Failure) {
    LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
    var logger = Logger(label: "ingot")
    logger.logLevel = .warning
    do throws(StoreProblem) {
      let held: StoreLock
      if let lock { held = lock } else { held = try IngestService.lock(root: root) }
      service = try IngestService.open(
        root: root, configuration: configuration, lock: held, logger: logger)
    } catch {
      throw Failure(error)
    }
    do throws(IngestError) {
      collection = try service?.createCollection(
        name, dimension: shape.dimension, dtype: shape.dtype
      ).collection
    } catch {
      throw Failure(error)
    }
  }

  func store(_ batch: ImportBatch) throws(Failure) {
    guard let service, let collection else { return }
    let byteCount = batch.batch.byteCount
    let failure: Failure?? = state.wait { state in
      if let failure = state.failure { return .some(failure) }
      let isFree =
        state.inFlightByteCount == 0
        || state.inFlightByteCount + byteCount <= Self.inFlightByteCountMax
      guard isFree else { return nil }
      state.inFlightByteCount += byteCount
      return .some(nil)
    }
    if let failure = failure ?? nil { throw failure }
    let permit: Admission.Permit
    do throws(IngestError) { permit = try service.admission.admit(byteCount: byteCount) } catch {
      let failure = Failure(error)
      state.change { $0.inFlightByteCount -= byteCount }
      throw failure
    }
    service.append(batch.batch, to: collection, batchID: batch.id) { [state] outcome in
      withExtendedLifetime(permit) {
        state.change { state in
          state.inFlightByteCount -= byteCount
          switch outcome {
          case .success(let commit): state.tally.count(batch.batch, isKnown: commit.isReplay)
          case .failure(let error): state.failure = state.failure ?? Failure(error)
          }
        }
      }
    }
  }

  func finish() throws(Failure) {
    let failure: Failure?? = state.wait { state in
      state.inFlightByteCount == 0 ? .some(state.failure) : nil
    }
    service?.close()
    service = nil
    if let failure = failure ?? nil { throw failure }
  }
}

extension Failure {
  /// Why a store did not take a batch.
  init(_ error: IngestError) {
    let (text, code): (String, ExitCode) =
      switch error {
      case .diskFull(let needed, let free, let reason):
        (
          "the disk has \(free) bytes free and \(needed) are needed (\(reason)); make room and run "
            + "again: what is stored is skipped", .couldNotRun
        )
      case .inFlightLimit(let limit):
        ("a batch has more than the \(limit) bytes that may be in flight", .inputUnusable)
      case .keyReused(let batchID, _):
        ("batch id \(batchID) stands for other rows", .inputUnusable)
      case .shapeDiffers(let expected, let found):
        ("the rows have \(found), the collection stores \(expected)", .inputUnusable)
      case .storageFailed(let reason): ("a write failed: \(reason)", .couldNotRun)
      case .noDescriptorLeft(let reason): ("no file can be opened: \(reason)", .couldNotRun)
      case .draining: ("the store is being closed", .couldNotRun)
      case .collectionUnknown(let name): ("there is no collection \(name)", .inputUnusable)
      case .collectionDiffers(let reason): (reason, .inputUnusable)
      case .collectionNameInvalid(let name):
        (
          "'\(name.prefix(80))' is no name of a collection; expected 1 to 63 of a-z 0-9 . _ -, with a "
            + "letter or digit first", .inputUnusable
        )
      }
    self.init(text, code: code)
  }
}
