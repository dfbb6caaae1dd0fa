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

/// For what ships: each expression that calls C or reads octets through a pointer says `unsafe`.
let productSettings = settings + [.strictMemorySafety()]

/// Libraries of others, by the name that a file imports.
let libraries: [String: Target.Dependency] = [
    "NIOCore": .product(name: "NIOCore", package: "swift-nio"),
    "NIOPosix": .product(name: "NIOPosix", package: "swift-nio"),
    "NIOHTTP1": .product(name: "NIOHTTP1", package: "swift-nio"),
    "HeapModule": .product(name: "HeapModule", package: "swift-collections"),
    "NIOEmbedded": .product(name: "NIOEmbedded", package: "swift-nio"),
    "ServiceLifecycle": .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
    "Logging": .product(name: "Logging", package: "swift-log"),
    "Tracing": .product(name: "Tracing", package: "swift-distributed-tracing"),
    "ArgumentParser": .product(name: "ArgumentParser", package: "swift-argument-parser"),
]

/// - Parameter names: of modules, as files import them.
func dependencies(_ names: String) -> [Target.Dependency] {
    names.split(separator: " ").map { libraries[String($0)] ?? .init(stringLiteral: String($0)) }
}

/// A room of the house, with everything it may import (docs/internals.md has the floors).
func room(_ name: String, _ mayImport: String = "", resources: [Resource]? = nil) -> Target {
    .target(
        name: name,
        dependencies: dependencies(mayImport),
        resources: resources,
        swiftSettings: productSettings
    )
}

/// The tests of a room, in `Tests/<room>Tests`.
///
/// - Parameter room: unless it is the one of the same name.
func tests(_ name: String, _ mayImport: String = "", of room: String? = "", path: String? = nil) -> Target {
    .testTarget(
        name: "\(name)Tests",
        dependencies: (room == nil ? [] : dependencies(name)) + dependencies(mayImport),
        path: path,
        swiftSettings: settings
    )
}

/// Where a processor may have wide AES instructions, a library for the tunnels' records (docs/decisions/0040).
#if arch(x86_64)
let wideAES = "CIPSecMB"
let wideAESLibrary = [Target.systemLibrary(name: "CIPSecMB", providers: [.apt(["libipsec-mb-dev"])])]
#else
let wideAES = ""
let wideAESLibrary: [Target] = []
#endif

/// What every floor above the ground may use of it.
let ground = "TextFormats JSON HostSystem"

let package = Package(
    name: "cloud-connector",
    products: [
        .executable(name: "connectord", targets: ["ConnectorDaemon"]),
        .executable(name: "connectord-connector", targets: ["connectord-connector"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.2.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: wideAESLibrary + [
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "CGSSAPI", providers: [.apt(["libkrb5-dev"])]),
        .systemLibrary(name: "CPostgres", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CGlibc"),
        .systemLibrary(name: "CEpoll"),
        .systemLibrary(name: "CYaml", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CExpat", pkgConfig: "expat", providers: [.apt(["libexpat1-dev"])]),

        // The ground: nothing of ours below it.
        room("AccessPolicy"),
        room("TextFormats", "CZlib"),
        room("JSON"),
        room("HostSystem", "CGlibc"),
        room("YAMLDocument", "CYaml"),
        room("XMLDocument", "CExpat"),

        room("EpollTransport", "CEpoll NIOCore HeapModule"),

        // What messages and files look like, and cryptography.
        room("Cryptography", "\(ground) EpollTransport COpenSSL NIOCore \(wideAES)"),
        room("ControlProtocol", ground),
        room("AdminProtocol", "\(ground) ControlProtocol"),
        room("OpenAPI", "\(ground) YAMLDocument"),
        room("ConfigurationReading", "\(ground) YAMLDocument NIOCore"),
        room("ConfigurationEditing", "\(ground) YAMLDocument"),

        // Parts that either side is made of.
        room("TunnelCore", "\(ground) EpollTransport Cryptography CNghttp2 NIOCore"),
        room("Telemetry", "\(ground) Cryptography Logging Tracing"),
        room("Tokens", "\(ground) Cryptography AdminProtocol"),
        room("Destinations", "\(ground) Cryptography YAMLDocument"),
        room("PrincipalPropagation", "\(ground) AccessPolicy Cryptography"),
        room("Kerberos", "HostSystem CGSSAPI"),
        room("PostgreSQL", "TextFormats CPostgres"),
        room("Networking", "\(ground) EpollTransport Cryptography AdminProtocol NIOCore NIOPosix NIOHTTP1"),

        // For web pages of either side.
        room(
            "PageAccess",
            "\(ground) Cryptography Networking NIOHTTP1",
            resources: [.embedInCode("page/look.css"), .embedInCode("page/elements.js")]
        ),

        // Who may administer a connector.
        room("AdminAccess", "\(ground) Cryptography Networking PageAccess NIOPosix NIOHTTP1"),

        // The two wings, which never see each other.
        room(
            "AvailabilityCheck",
            "\(ground) AccessPolicy TunnelCore Cryptography ControlProtocol AdminProtocol Networking NIOCore NIOPosix Logging"
        ),
        room(
            "CloudConnector",
            "\(ground) AvailabilityCheck PrincipalPropagation Kerberos EpollTransport AccessPolicy TunnelCore Cryptography ControlProtocol AdminProtocol Telemetry Networking NIOCore "
                + "NIOPosix NIOHTTP1 Logging Tracing"
        ),
        room(
            "ConnectivityService",
            "\(ground) EpollTransport AccessPolicy TunnelCore Cryptography ControlProtocol AdminProtocol Telemetry Networking Tokens NIOCore "
                + "NIOPosix Logging Tracing"
        ),
        room(
            "CloudServices",
            "\(ground) ConnectivityService Cryptography ControlProtocol AdminProtocol Telemetry Networking PageAccess PostgreSQL Tokens "
                + "Destinations NIOCore NIOPosix NIOHTTP1 Logging",
            resources: [
                .embedInCode("Cockpit/page/cockpit.html"), .embedInCode("Cockpit/page/cockpit.css"),
                .embedInCode("Cockpit/page/cockpit.js"),
            ]
        ),

        // Each as a process: files, admin socket, reload, start and end.
        room(
            "DaemonSupport",
            "\(ground) Cryptography TunnelCore AdminProtocol Telemetry Networking ConfigurationReading NIOCore "
                + "NIOHTTP1 Logging Tracing ServiceLifecycle"
        ),
        room(
            "ConnectorProcess",
            "\(ground) CloudConnector AvailabilityCheck PrincipalPropagation Kerberos DaemonSupport AdminAccess PageAccess AccessPolicy TunnelCore Cryptography ControlProtocol AdminProtocol "
                + "Telemetry Networking ConfigurationReading ConfigurationEditing YAMLDocument XMLDocument NIOCore NIOPosix NIOHTTP1 Logging",
            resources: ["html", "css", "js"].map { .embedInCode("AdministrationPage/page/page.\($0)") }
                + [.embedInCode("AdministrationPage/page/view.js"), .embedInCode("AdministrationPage/page/change.js")]
        ),
        room(
            "CloudProcess",
            "\(ground) CloudServices ConnectivityService PostgreSQL DaemonSupport TunnelCore Cryptography ControlProtocol AdminProtocol "
                + "Telemetry Networking Tokens ConfigurationReading YAMLDocument NIOCore NIOHTTP1 Logging"
        ),

        // A program's end of TCP connections.
        room("LocalForward", "\(ground) AdminProtocol Networking NIOCore NIOPosix NIOHTTP1 Logging"),

        // What people start.
        room(
            "DemoScenario",
            "\(ground) ConnectorProcess CloudProcess CloudConnector ConnectivityService DaemonSupport ConfigurationReading "
                + "AdminProtocol AccessPolicy Cryptography Telemetry NIOCore NIOPosix NIOHTTP1"
        ),
        room(
            "ConnectorCommands",
            "\(ground) ConnectorProcess DaemonSupport ConfigurationReading ConfigurationEditing ControlProtocol AdminProtocol "
                + "Telemetry ArgumentParser"
        ),
        room(
            "ConnectordCommands",
            "\(ground) ConnectorCommands ConnectorProcess CloudProcess DemoScenario LocalForward DaemonSupport ConfigurationReading "
                + "ControlProtocol AdminProtocol Telemetry OpenAPI Destinations ArgumentParser"
        ),
        .executableTarget(
            name: "ConnectorDaemon",
            dependencies: ["ConnectordCommands"],
            swiftSettings: productSettings
        ),
        .executableTarget(
            name: "connectord-connector",
            dependencies: ["ConnectorCommands"],
            path: "Sources/ConnectorOnlyDaemon",
            swiftSettings: productSettings
        ),

        // Tests: a folder for each room, and those that run the built programs.
        .target(
            name: "ConnectorTestSupport",
            path: "Tests/ConnectorTestSupport",
            swiftSettings: settings
        ),
        tests("TextFormats"),
        tests("XMLDocument"),
        tests("JSON"),
        tests("HostSystem"),
        tests("AccessPolicy", "ConnectorTestSupport"),
        tests("EpollTransport", "ConnectorTestSupport NIOCore NIOEmbedded"),
        tests("Cryptography", "EpollTransport COpenSSL NIOCore"),
        tests("ControlProtocol", "JSON"),
        tests("ConfigurationReading", "TextFormats YAMLDocument NIOCore"),
        tests("ConfigurationEditing", "YAMLDocument"),
        tests("OpenAPI", "JSON"),
        tests("TunnelCore", "AccessPolicy ConnectorTestSupport NIOCore NIOEmbedded NIOHTTP1"),
        tests("Telemetry", "Logging TextFormats"),
        tests("Tokens", "HostSystem JSON Cryptography AdminProtocol"),
        tests("Destinations", "JSON ConnectorTestSupport"),
        tests("PrincipalPropagation", "AccessPolicy Cryptography JSON"),
        tests("Kerberos"),
        tests("LocalForward", "JSON TextFormats"),
        tests(
            "Networking",
            "ConnectorTestSupport EpollTransport Cryptography TextFormats NIOCore NIOPosix NIOEmbedded NIOHTTP1"
        ),
        tests("PageAccess", "Networking"),
        tests("AdminAccess", "Networking JSON NIOHTTP1 ConnectorTestSupport"),
        tests("AvailabilityCheck", "AccessPolicy TextFormats Cryptography TunnelCore NIOCore"),
        tests(
            "CloudConnector",
            "AvailabilityCheck AdminProtocol AccessPolicy TextFormats Cryptography TunnelCore NIOCore Networking"
        ),
        tests("DaemonSupport", "ServiceLifecycle Logging Cryptography ConfigurationReading ConnectorTestSupport"),
        tests("ConnectorCommands", "AdminProtocol"),
        tests(
            "ConnectivityService",
            "AdminProtocol ControlProtocol Cryptography HostSystem TextFormats TunnelCore NIOCore NIOEmbedded"
        ),
        tests(
            "CloudServices",
            "ConnectivityService ConnectorTestSupport PostgreSQL Tokens Destinations Cryptography ControlProtocol AdminProtocol Telemetry TextFormats HostSystem "
                + "Networking NIOHTTP1"
        ),
        tests(
            "ConnectorProcess",
            "CloudConnector AvailabilityCheck CloudProcess ConnectivityService ConfigurationReading ConfigurationEditing HostSystem JSON "
                + "DaemonSupport AccessPolicy Cryptography Telemetry TextFormats ConnectorTestSupport NIOCore"
        ),
        tests(
            "CloudProcess",
            "CloudServices ConnectivityService ConfigurationReading Cryptography TextFormats ConnectorTestSupport NIOCore"
        ),
        tests("FuzzReplay", "FuzzTargets", of: nil),
        tests(
            "Hostile",
            "ConnectorDaemon EpollTransport Cryptography TunnelCore ConnectorTestSupport NIOCore",
            of: nil,
            path: "Tests/Hostile"
        ),
        tests(
            "Integration",
            "ConnectorDaemon connectord-connector Cryptography ConnectorTestSupport NIOCore NIOPosix",
            of: nil
        ),
        // What fuzzing feeds, and its corpora as tests (dev/fuzz.sh).
        .target(
            name: "FuzzTargets",
            dependencies: dependencies(
                "AccessPolicy TunnelCore ControlProtocol Tokens Destinations OpenAPI JSON TextFormats ConnectivityService "
                    + "ConnectorProcess CloudProcess NIOCore"
            ),
            path: "Tests/Fuzz/Targets",
            swiftSettings: settings
        ),
    ]
)

// Built only on request, by dev/fuzz.sh: libFuzzer has a main of its own.
if Context.environment["CONNECTOR_FUZZ"] != nil {
    package.targets.append(.systemLibrary(name: "CFuzzer", path: "Tests/Fuzz/CFuzzer"))
    package.targets.append(
        .executableTarget(
            name: "connectord-fuzz",
            dependencies: ["FuzzTargets", "CFuzzer"],
            path: "Tests/Fuzz/Driver",
            swiftSettings: settings
        )
    )
}

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
