// What is fuzzed: everything that reads bytes from outside. Each takes any bytes and has to hold what it promises of them.
// Run by libFuzzer through FuzzEntry (deploy/fuzz), and on the kept inputs of Tests/Data/fuzz by FuzzingTests.

internal import IngestAPI

package enum FuzzTarget: String, CaseIterable, Sendable {
  case request, npy, npz, multipart, json, ndjson, log, header, seal, index, store

  /// Reads the bytes.
  ///
  /// - Returns: what is wrong with what came of it; nil when nothing is. Traps are the other way to fail.
  package func run(_ bytes: [UInt8]) -> String? {
    switch self {
    case .request: RequestFuzzing.run(bytes)
    case .npy: BodyFuzzing.run(bytes, as: .npy)
    case .npz: BodyFuzzing.run(bytes, as: .npz)
    case .multipart: BodyFuzzing.run(bytes, as: .multipart(boundary: Array("b0".utf8)))
    case .json: BodyFuzzing.run(bytes, as: .json)
    case .ndjson: BodyFuzzing.run(bytes, as: .ndjson)
    case .log: StoreFuzzing.readLog(bytes)
    case .header: StoreFuzzing.readHeader(bytes)
    case .seal: StoreFuzzing.readSeal(bytes)
    case .index: StoreFuzzing.readIndex(bytes)
    case .store: StoreFuzzing.readStoreFile(bytes)
    }
  }
}
