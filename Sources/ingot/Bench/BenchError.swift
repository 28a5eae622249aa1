// Why a measurement could not be made: `ingot bench` prints it and exits 2.

internal import Glibc

struct BenchError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }

  init(_ error: ClientError) { self.init("\(error)") }

  /// The last system call failed.
  static func last(_ operation: String) -> BenchError {
    BenchError("\(operation): \(unsafe String(cString: strerror(errno)))")
  }
}

extension ClientSocket {
  static func forBench(to address: ServerAddress) throws(BenchError) -> ClientSocket {
    do throws(ClientError) { return try ClientSocket(to: address) } catch {
      throw BenchError(error)
    }
  }
}
