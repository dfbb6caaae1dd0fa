// swift-tools-version: 6.2
import PackageDescription

/// One list for every target: Swift 6 mode, and no warning survives a build.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
    // Exclusivity is checked dynamically in debug builds, so in every test; a release build does without, which
    // saves about a fifth of the user time (docs/performance.md).
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

let package = Package(
    name: "cloud-connector",
    products: [
        .executable(name: "connectord", targets: ["ConnectorDaemon"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
    ],
    targets: [
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "CMalloc"),
        .systemLibrary(name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(name: "AccessPolicy", swiftSettings: settings),
        .target(
            name: "TunnelCore",
            dependencies: ["COpenSSL", "CNghttp2", .product(name: "NIOCore", package: "swift-nio")],
            swiftSettings: settings
        ),
        .target(name: "ControlProtocol", swiftSettings: settings),
        .target(
            name: "Telemetry",
            dependencies: [
                "TunnelCore", "ControlProtocol", .product(name: "Logging", package: "swift-log"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "Tokens",
            dependencies: ["TunnelCore", "ControlProtocol", "Telemetry"],
            swiftSettings: settings
        ),
        .target(name: "YAMLDocument", dependencies: ["CYaml"], swiftSettings: settings),
        .target(name: "OpenAPI", dependencies: ["ControlProtocol", "YAMLDocument"], swiftSettings: settings),
        .target(
            name: "Destinations",
            dependencies: ["TunnelCore", "ControlProtocol", "Telemetry", "YAMLDocument"],
            swiftSettings: settings
        ),
        .target(
            name: "ConnectivityService",
            dependencies: [
                "AccessPolicy", "TunnelCore", "ControlProtocol", "Telemetry", "Tokens",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "ConnectorDaemon",
            dependencies: [
                "AccessPolicy", "TunnelCore", "ControlProtocol", "Telemetry", "Tokens", "Destinations",
                "ConnectivityService", "YAMLDocument", "OpenAPI", "CMalloc",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Tracing", package: "swift-distributed-tracing"),
            ],
            resources: [
                .embedInCode("Cockpit/page/cockpit.html"), .embedInCode("Cockpit/page/cockpit.css"),
                .embedInCode("Cockpit/page/cockpit.js"),
            ],
            swiftSettings: settings
        ),
        .target(
            name: "ConnectorTestSupport",
            dependencies: ["TunnelCore"],
            path: "Tests/ConnectorTestSupport",
            swiftSettings: settings
        ),
        .testTarget(
            name: "AccessPolicyTests",
            dependencies: ["AccessPolicy", "ConnectorTestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "TunnelCoreTests",
            dependencies: [
                "TunnelCore", "AccessPolicy", "ConnectorTestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ControlProtocolTests",
            dependencies: ["ControlProtocol"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "TelemetryTests",
            dependencies: [
                "Telemetry", "ControlProtocol", "ConnectorTestSupport", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "TokensTests",
            dependencies: ["Tokens", "Telemetry", "TunnelCore", "ControlProtocol"],
            swiftSettings: settings
        ),
        .testTarget(name: "OpenAPITests", dependencies: ["OpenAPI", "ControlProtocol"], swiftSettings: settings),
        .testTarget(
            name: "DestinationsTests",
            dependencies: ["Destinations", "ControlProtocol", "ConnectorTestSupport"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ConnectivityServiceTests",
            dependencies: ["ConnectivityService", "TunnelCore"],
            swiftSettings: settings
        ),
        .testTarget(
            name: "ConnectorDaemonTests",
            dependencies: [
                "ConnectorDaemon", "ConnectivityService", "AccessPolicy", "TunnelCore", "Telemetry", "ControlProtocol",
                "ConnectorTestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "ConnectorDaemon", "TunnelCore", "ConnectorTestSupport",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: settings
        ),
    ]
)

// Built only on request: nothing but Benchmarks/counts.py needs it.
if Context.environment["CONNECTOR_BENCHMARKS"] != nil {
    package.targets.append(
        .executableTarget(
            name: "Microbenchmarks",
            dependencies: ["AccessPolicy", "TunnelCore"],
            path: "Benchmarks/Microbenchmarks",
            swiftSettings: settings
        )
    )
}
