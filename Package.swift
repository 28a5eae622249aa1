// swift-tools-version: 6.2
// What is built, and from what. The module map and its invariants: docs/ARCHITECTURE.md.

import PackageDescription

/// Settings of every Swift target; test targets go without strict memory safety, since the
/// expansion of `#expect` cannot be marked.
let commonSettings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]
let settings = commonSettings + [.strictMemorySafety()]

let package = Package(
  name: "ingot",
  products: [.executable(name: "ingot", targets: ["ingot"])],
  dependencies: [
    .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-configuration", exact: "1.4.0"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
  ],
  targets: [
    // C libraries from Debian, and what Swift cannot say.
    .systemLibrary(name: "CLinux"),
    .systemLibrary(name: "CISAL", providers: [.apt(["libisal-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .target(name: "COpenAPI"),
    .target(name: "CFiniteness"),
    .target(
      name: "CSimdjson", cxxSettings: [.define("NDEBUG", .when(configuration: .release))],
      linkerSettings: [.linkedLibrary("simdjson")]),

    // Bytes on disk.
    .target(
      name: "SystemIO",
      dependencies: [
        "CISAL", "CLinux", "CXXHash", .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: settings),
    .target(name: "DiskSimulation", dependencies: ["SystemIO"], swiftSettings: settings),
    .target(
      name: "ShardStore", dependencies: ["SystemIO", "CFiniteness"], swiftSettings: settings),
    .target(name: "Salvage", dependencies: ["ShardStore", "SystemIO"], swiftSettings: settings),
    .target(
      name: "Catalog",
      dependencies: [
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "GRDBSQLite", package: "GRDB.swift"),
      ],
      swiftSettings: settings),
    .target(
      name: "IngestService",
      dependencies: [
        "ShardStore", "Catalog", "SystemIO", .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),

    // Bytes on the network.
    .target(name: "HTTPCore", swiftSettings: settings),
    .target(
      name: "HTTPServer",
      dependencies: ["HTTPCore", "SystemIO", "CLinux"], swiftSettings: settings),

    // Where the two meet.
    .target(
      name: "IngestAPI",
      dependencies: [
        "IngestService", "ShardStore", "SystemIO", "HTTPCore", "HTTPServer",
        "CSimdjson", "CZlib", "CCrypto", "COpenAPI",
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "ingot",
      dependencies: [
        "IngestAPI", "IngestService", "ShardStore", "SystemIO", "Catalog", "HTTPCore", "HTTPServer",
        "CSimdjson", "Salvage",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Configuration", package: "swift-configuration"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),

    .target(
      name: "TestContent", dependencies: ["ShardStore"], path: "Tests/TestContent",
      swiftSettings: commonSettings),
    .target(
      name: "Fuzzing",
      dependencies: [
        "HTTPCore", "IngestAPI", "IngestService", "ShardStore", "SystemIO", "DiskSimulation",
      ],
      path: "Tests/Fuzzing", swiftSettings: settings),
    .testTarget(name: "FuzzingTests", dependencies: ["Fuzzing"], swiftSettings: commonSettings),

    .testTarget(
      name: "SystemIOTests", dependencies: ["SystemIO", "DiskSimulation"],
      swiftSettings: commonSettings),
    .testTarget(
      name: "ShardStoreTests",
      dependencies: ["ShardStore", "SystemIO", "DiskSimulation", "TestContent"],
      swiftSettings: commonSettings),
    .testTarget(
      name: "SalvageTests",
      dependencies: ["Salvage", "ShardStore", "SystemIO", "DiskSimulation"],
      swiftSettings: commonSettings),
    .testTarget(
      name: "CatalogTests",
      dependencies: ["Catalog", .product(name: "GRDB", package: "GRDB.swift")],
      swiftSettings: commonSettings),
    .testTarget(
      name: "IngestServiceTests",
      dependencies: [
        "IngestService", "ShardStore", "SystemIO", "Catalog", "DiskSimulation", "TestContent",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: commonSettings),
    .testTarget(
      name: "ExplorerTests",
      dependencies: [
        "IngestService", "ShardStore", "SystemIO", "DiskSimulation", "TestContent",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: commonSettings),
    .testTarget(
      name: "IngotTests", dependencies: ["ingot", "SystemIO"], swiftSettings: commonSettings),
    .testTarget(
      name: "DamageTests",
      dependencies: [
        "IngestService", "ShardStore", "SystemIO", "DiskSimulation", "CLinux", "TestContent",
        .product(name: "GRDBSQLite", package: "GRDB.swift"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: commonSettings),
    .testTarget(
      name: "HTTPCoreTests", dependencies: ["HTTPCore", "TestContent"],
      swiftSettings: commonSettings),
    .testTarget(
      name: "HTTPServerTests", dependencies: ["HTTPServer", "HTTPCore", "SystemIO"],
      swiftSettings: commonSettings),
    .testTarget(
      name: "IngestAPITests",
      dependencies: [
        "IngestAPI", "IngestService", "ShardStore", "SystemIO", "HTTPCore", "HTTPServer",
        "TestContent",
      ],
      swiftSettings: commonSettings),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx17
)

// Only for deploy/fuzz: elsewhere nothing brings a main.
if Context.environment["INGOT_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(name: "FuzzEntry", dependencies: ["Fuzzing"], path: "Tests/FuzzEntry"))
}
