// Which options of `ingot import` go together, and which values they may have.

import ArgumentParser
import IngestService
import ShardStore
import SystemIO

/// The options of an import, checked.
struct ImportSettings {
  enum Place {
    case store(root: String, ServiceConfiguration)
    case server(ServerAddress, RetryPolicy)
  }

  let place: Place
  let dtype: Dtype?
  let batchRows: Int?

  /// A batch of rows that every server takes with its default limits.
  private static let batchByteCountMax = 48 << 20

  func batchRowCount(for plan: ImportPlan) throws(Failure) -> Int {
    guard let batchRows else { return plan.defaultBatchRowCount }
    let rowByteCount = plan.shape.dimension * plan.shape.dtype.byteCount
    guard batchRows * rowByteCount <= Self.batchByteCountMax else {
      throw Failure(
        "--batch-rows: \(batchRows) rows have \(batchRows * rowByteCount) bytes; at most "
          + "\(Self.batchByteCountMax) are one batch, which are \(Self.batchByteCountMax / rowByteCount) "
          + "rows", code: .inputUnusable)
    }
    return batchRows
  }
}

extension ImportCommand {
  private enum Limits {
    static let batchRowCount = 1...(1 << 20)
    static let retrySeconds = 0...86_400
    static let labelByteCount = 1...100
  }

  static func dtype(named name: String) -> Dtype? { Dtype.allCases.first { $0.name == name } }

  /// - Throws: What to say instead; exit code 64.
  func checkedSettings() throws(ValidationError) -> ImportSettings {
    try ServerAddress.checkIsEither(store: store, url: url)
    guard ids.isEmpty || firstId == nil else {
      throw ValidationError("--ids and --first-id are two ways to say the same; choose one")
    }
    if let batchRows, !Limits.batchRowCount.contains(batchRows) {
      throw ValidationError("--batch-rows takes 1 to \(Limits.batchRowCount.upperBound)")
    }
    guard Collection.isValidName(collection) else {
      throw ValidationError(
        "--collection takes 1 to 63 of a-z 0-9 . _ -, with a letter or digit first, not "
          + "'\(collection.prefix(80))'")
    }
    try checkLabel()
    let dtype = convert.flatMap(Self.dtype)
    guard convert == nil || dtype != nil else {
      throw ValidationError("--convert takes float32 or float16, not '\(convert ?? "")'")
    }
    return ImportSettings(place: try place(), dtype: dtype, batchRows: batchRows)
  }

  /// A batch id may have these bytes; see `checkBatchID` (IngestAPI).
  private func checkLabel() throws(ValidationError) {
    let isValid =
      Limits.labelByteCount.contains(label.utf8.count)
      && label.utf8.allSatisfy { byte in
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
          || (0x61...0x7A).contains(byte) || "._:~-".utf8.contains(byte)
      }
    guard isValid else {
      throw ValidationError("--label takes 1 to 100 of A-Z a-z 0-9 . _ : ~ -")
    }
  }

  private func place() throws(ValidationError) -> ImportSettings.Place {
    if let url {
      guard shardBytes == nil, diskReserve == nil else {
        throw ValidationError(
          "--shard-bytes and --disk-reserve are for --store; a server has its own")
      }
      let seconds = retrySeconds ?? 300
      guard Limits.retrySeconds.contains(seconds) else {
        throw ValidationError("--retry-seconds takes 0 to \(Limits.retrySeconds.upperBound)")
      }
      return .server(
        try ServerAddress(option: url), RetryPolicy(patience: .seconds(seconds)))
    }
    guard retrySeconds == nil else { throw ValidationError("--retry-seconds is for --url") }
    return .store(
      root: store ?? "",
      try ServiceConfiguration(shardBytes: shardBytes, diskReserve: diskReserve))
  }
}
