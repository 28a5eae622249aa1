// Why a measurement could not be made: `ingot bench` prints it and exits 2.

struct BenchError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
