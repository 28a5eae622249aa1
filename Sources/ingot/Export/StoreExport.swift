// Exports of a store that is not being served. Files of one format here; folders: StoreExport+Folder.swift.

import ArgumentParser
import Foundation
import IngestService
import Logging
import ShardStore
import SystemIO

final class StoreExport {
  let service: IngestService
  let collection: Collection
  let interruption: Interruption
  let bar: ProgressBar

  /// What is read and written at once: checked, summed and copied while it is in the second cache. Measured: with
  /// 1 MiB the copy took twice as long.
  static let pieceByteCount = 256 << 10
  /// Damage takes its rows out, and the rest is exported; each time some is found, it starts again.
  private static let tryCountMax = 16

  /// Opens the store; nothing is made where there is none.
  init(
    root: String, collection name: String, _ interruption: Interruption, _ bar: ProgressBar
  ) throws(Failure) {
    self.interruption = interruption
    self.bar = bar
    LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
    var logger = Logger(label: "ingot")
    logger.logLevel = .warning
    var configuration = ServiceConfiguration()
    configuration.compactsByItself = false
    do throws(StoreProblem) {
      let lock = try StoreVerifier.lock(root: root)
      guard FileManager.default.fileExists(atPath: root + "/store.json") else {
        throw .noStore(path: root, hasDirectory: true)
      }
      service = try IngestService.open(
        root: root, configuration: configuration, lock: lock, logger: logger)
    } catch {
      throw Failure(error)
    }
    guard let found = service.collection(name) else {
      let names = service.collections.map(\.name).sorted().prefix(20).joined(separator: ", ")
      service.close()
      throw Failure(
        "there is no collection \(name) in \(root); there is \(names.isEmpty ? "none" : names)",
        code: .couldNotRun)
    }
    collection = found
  }

  func close() { service.close() }

  /// Writes a file and, when they are wanted, the ids of the same rows.
  func write(
    _ format: ExportFormat, _ settings: ExportSettings, _ report: inout ExportReport
  ) throws(Failure) {
    let output = try ExportOutput(settings.out, replaces: settings.replaces, interruption)
    let idOutput: ExportOutput?
    if let ids = settings.ids {
      idOutput = try ExportOutput(ids, replaces: settings.replaces, interruption)
    } else {
      idOutput = nil
    }
    var found = report
    try withLiveRows(startsChecked: settings.out == nil) {
      live throws(ExportFailure) in
      if let idOutput {
        let stream = try self.stream(live, .ids, to: idOutput)
        found.ids = ExportReport.File(
          path: settings.ids ?? "", rows: stream.rowCount, bytes: idOutput.byteCount,
          crc32c: stream.crc32c.hexadecimal)
      }
      let stream = try self.stream(live, format, to: output)
      found.describe(stream)
      found.bytes = output.byteCount
      found.crc32c = stream.crc32c.hexadecimal
    }
    found.unusableShards = collection.unusableShards.count
    try ExportOutput.complete([idOutput, output].compactMap(\.self), interruption)
    report = found
  }

  /// Writes all of a stream.
  private func stream(
    _ live: LiveRows, _ format: ExportFormat, to output: ExportOutput
  ) throws(ExportFailure) -> ExportStream {
    var stream = ExportStream(
      live, of: collection, format: format, pieceByteCount: Self.pieceByteCount)
    let total = stream.byteCount ?? live.rowCount * collection.opener.geometry.rowStride
    do throws(DiskError) {
      try output.restart()
      try output.reserve(byteCount: stream.byteCount)
    } catch {
      throw .failed(Failure(writing: output.path ?? "standard output", error))
    }
    do throws(ExportFailure) {
      try copy(&stream) { piece throws(DiskError) in
        try output.write(piece)
        bar.show(byteCount: output.byteCount, of: total)
      }
    } catch {
      guard case .disk(let error) = error else { throw error }
      throw .failed(Failure(writing: output.path ?? "standard output", error))
    }
    return stream
  }

  /// Hands all pieces of a stream to `write`.
  @safe
  func copy(
    _ stream: inout ExportStream, _ write: (UnsafeRawBufferPointer) throws(DiskError) -> Void
  ) throws(ExportFailure) {
    var failure: DiskError?
    var hasMore = true
    while hasMore {
      do throws(Failure) { try interruption.check() } catch { throw .failed(error) }
      do throws(RowDamaged) {
        hasMore = try stream.next { piece in
          guard failure == nil else { return }
          do throws(DiskError) { try unsafe write(piece) } catch { failure = error }
        }
      } catch {
        throw .damaged(error)
      }
      if let failure { throw .disk(failure) }
    }
  }

  /// Runs `body` with the live rows; again without those that turn out to be damaged.
  ///
  /// - Parameter startsChecked: All rows are read first, since what was written cannot be taken back.
  func withLiveRows(
    startsChecked: Bool, _ body: (LiveRows) throws(ExportFailure) -> Void
  ) throws(Failure) {
    var live = startsChecked ? try checkedRows() : LiveRows(collection)
    for _ in 0..<Self.tryCountMax {
      try interruption.check()
      do throws(ExportFailure) { return try body(live) } catch {
        switch error {
        case .failed(let failure): throw failure
        case .disk(let error): throw Failure("\(error)", code: .couldNotRun)
        case .damaged: live = try checkedRows()
        }
      }
    }
    throw Failure(
      "new damage was found in each of \(Self.tryCountMax) passes; the disk seems to be failing: run "
        + "ingot verify", code: .couldNotRun)
  }

  /// The live rows, after all of them were read and found right.
  private func checkedRows() throws(Failure) -> LiveRows {
    while true {
      let live = LiveRows(collection)
      if try isRight(live) { return live }
    }
  }

  /// What is damaged is out of service afterwards, so that no damage is found twice.
  private func isRight(_ live: LiveRows) throws(Failure) -> Bool {
    var isRight = true
    for part in live.parts {
      let countMax = max(1, SealTable.blockByteCount / part.shard.geometry.rowStride)
      var row = 0
      while let run = part.run(from: row, countMax: countMax) {
        try interruption.check()
        do throws(RowDamaged) { try unsafe part.shard.withRows(run) { _ in } } catch {
          isRight = false
        }
        row = run.upperBound
      }
    }
    do throws(RowDamaged) {
      var ids = LiveRowIDs(live)
      while try ids.next({ _ in }) {}
    } catch {
      isRight = false
    }
    return isRight
  }
}

/// Why an export did not come to its end.
enum ExportFailure: Error {
  /// Without these rows it can.
  case damaged(RowDamaged)
  case disk(DiskError)
  case failed(Failure)

  static func mapping<Result>(
    _ body: () throws(DiskError) -> Result
  ) throws(ExportFailure) -> Result {
    do throws(DiskError) { return try body() } catch { throw .disk(error) }
  }
}

extension ExportOutput {
  /// Makes all files durable, then gives all of them their names.
  static func complete(
    _ outputs: [ExportOutput], _ interruption: Interruption
  ) throws(Failure) {
    for output in outputs {
      do throws(DiskError) { try output.sync() } catch {
        throw Failure(writing: output.path ?? "standard output", error)
      }
    }
    try interruption.check()
    for output in outputs {
      do throws(DiskError) { try output.takeName() } catch {
        throw Failure(writing: output.path ?? "standard output", error)
      }
    }
  }
}

extension ExportReport {
  mutating func describe(_ stream: ExportStream) {
    rows = stream.rowCount
    sequence = stream.sequence
    damagedRows = stream.damagedRowCount
  }
}
