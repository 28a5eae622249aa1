// What `--listen` takes, and what of it others can reach.

import Testing

@testable import ingot

@Suite struct ListenAddressTests {
  @Test(arguments: [
    "127.0.0.1:8080", "127.255.255.254:1", "localhost:8080", "[::1]:8080", "[0:0:0:0:0:0:0:1]:8080",
  ]) func isLoopback(text: String) throws {
    #expect(try ListenAddress(text).isLoopback)
  }

  @Test(arguments: [
    "127.evil.example:8080", "127.0.0.1.evil.example:8080", "localhost.evil.example:8080",
    "0.0.0.0:8080", "[::]:8080", "[::ffff:10.0.0.1]:8080", "10.0.0.127:8080", "128.0.0.1:8080",
    "[1::]:8080", "127.0.0:8080", "Localhost:8080",
  ]) func isNotLoopback(text: String) throws {
    #expect(try !ListenAddress(text).isLoopback)
  }
}
