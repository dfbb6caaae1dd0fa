internal import AccessPolicy
internal import ConnectivityService
internal import Glibc
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import TunnelCore

/// Both sides and an internal system in one process, with real sockets and real TLS, and a walk through what a user
/// will see.
struct Demo {
    struct Ports {
        var proxy: Int
        var tunnel: Int
        var backend: Int
    }

    private let folder: String
    private let group: MultiThreadedEventLoopGroup
    private let service: ConnectivityService
    private let configuration: ConnectorConfiguration
    private let logger: Logger
    private var backend: HelloWorldServer
    private var connector: RunningConnector
    /// Expectations that were not met.
    private(set) var failures: [String] = []

    private static let subaccount = "3b7e1e5a-8d0c-4b5e-9a51-0c2f6e1d7a10"

    init(_ ports: Ports, folder: String, group: MultiThreadedEventLoopGroup, logger: Logger) async throws {
        self.folder = folder
        self.group = group
        self.logger = logger
        try ThrowAwayCertificates.write(
            to: folder,
            identity: ConnectorIdentity(subaccount: Self.subaccount, locationID: ""),
            serviceNames: ["localhost"],
            days: 2
        )
        backend = try await HelloWorldServer.start(on: group, port: ports.backend)
        service = try await ConnectivityService.start(
            try Self.cloud(ports, folder),
            logger: logger
        )
        configuration = try Self.connector(folder, service.tunnelPort, backend.port)
        connector = try await RunningConnector.start(configuration, logger: logger)
    }

    private static func cloud(_ ports: Ports, _ folder: String) throws -> ServiceConfiguration {
        let text = """
            subaccount: \(subaccount)
            proxy:
              listen: 127.0.0.1:\(ports.proxy)
            tunnel:
              listen: 127.0.0.1:\(ports.tunnel)
              certificate: \(folder)/service.pem
              private-key: \(folder)/service.key
              trusted-ca: \(folder)/ca.pem
            """
        let (configuration, findings) = CloudConfigurationReader.read(Array(text.utf8), file: "cloud.conf")
        guard let configuration else { throw ConfigurationError(findings: findings) }
        return configuration.service
    }

    private static func connector(
        _ folder: String,
        _ tunnelPort: Int,
        _ backendPort: Int
    ) throws -> ConnectorConfiguration {
        let text = """
            subaccount: \(subaccount)
            tunnel:
              service: localhost:\(tunnelPort)
              certificate: \(folder)/connector.pem
              private-key: \(folder)/connector.key
              trusted-ca: \(folder)/ca.pem
            systems:
              - virtual-host: internalhost:3333
                internal-host: localhost:\(backendPort)
                protocol: HTTP
                description: Hello World
                resources:
                  - path: /hello
                    access: path-only
            """
        let (configuration, findings) = ConnectorConfigurationReader.read(Array(text.utf8), file: "connector.conf")
        guard let configuration else { throw ConfigurationError(findings: findings) }
        return configuration
    }

    // MARK: The walk

    mutating func walk() async throws {
        say("1  A Hello World server listens on localhost:\(backend.port).")
        say("2  The connector exposes it as internalhost:3333, with the one path /hello.")
        await connector.connector.state.waitUntilConnected()
        say("3  The connector has dialled out to the connectivity service on localhost:\(service.tunnelPort) over TLS;")
        say("   \(connector.connector.state.connectedTunnels) tunnel(s) are up. Nobody can dial in.")
        say("4  A program in the cloud calls the virtual host through the proxy:")
        try await call("/hello", expect: "200", "{\"message\":\"Hello World\"}")
        say("5  A misspelt virtual host is not a way in:")
        try await call(host: "internalhst:3333", "/hello", expect: "403", "Access denied to system internalhst:3333.")
        say("6  A path that was not exposed is not either:")
        try await call("/admin", expect: "403", "Access denied to resource /admin on system internalhost:3333.")
        say("   nor is one that only looks exposed:")
        try await call("/hello/%2e%2e/admin", expect: "400", "dot segment")
        say("7  The Hello World server stops:")
        try await backend.stop()
        try await call("/hello", expect: "502", "Unable to open connection to backend system")
        say("   and the connector stops as well:")
        try await connector.stop()
        try await waitUntilNoTunnel()
        try await call("/hello", expect: "503", "There is no SAP Cloud Connector (SCC) connected to your subaccount")
    }

    /// Starts again what the walk has stopped.
    mutating func restart() async throws {
        backend = try await HelloWorldServer.start(on: group, port: configuration.systems[0].internalPort.port)
        connector = try await RunningConnector.start(configuration, logger: logger)
        await connector.connector.state.waitUntilConnected()
    }

    func sayHowToGoOn() {
        let proxy = "localhost:\(service.proxyPort)"
        say("Everything runs again. Try it, and end it with Ctrl-C:\n")
        for path in ["internalhost:3333/hello", "internalhst:3333/hello", "internalhost:3333/admin"] {
            say("   curl -i -x \(proxy) http://\(path)")
        }
        fflush(nil)
    }

    func stop() async throws {
        try await connector.stop()
        try await service.shutdown()
        try? await backend.stop()
    }

    private mutating func call(
        host: String = "internalhost:3333",
        _ path: String,
        expect status: String,
        _ text: String
    ) async throws {
        let url = "http://\(host)\(path)"
        say("   $ curl -x localhost:\(service.proxyPort) \(url)")
        let response = try await DemoClient.get(url, proxyPort: service.proxyPort, on: group)
        say("     \(response.status): \(response.body.prefix { $0 != "\n" })\n")
        if !response.status.hasPrefix(status) || !response.body.contains(text) {
            failures.append("\(url): expected \(status) with \"\(text)\", got \(response.status)")
        }
    }

    /// The service learns of a closed tunnel a moment after the connector has closed it.
    private func waitUntilNoTunnel() async throws {
        for _ in 0..<100 {
            let response = try await DemoClient.get(
                "http://internalhost:3333/hello",
                proxyPort: service.proxyPort,
                on: group
            )
            if response.status.hasPrefix("503") { return }
        }
    }

    private func say(_ line: String) {
        print(line)
        fflush(nil)
    }
}

extension UInt16 {
    fileprivate var port: Int { Int(self) }
}

/// A connector that runs.
struct RunningConnector: Sendable {
    let connector: Connector

    static func start(_ configuration: ConnectorConfiguration, logger: Logger) async throws -> RunningConnector {
        let connector = try await Connector(configuration, logger: logger)
        try connector.start()
        return RunningConnector(connector: connector)
    }

    /// Returns when all its tunnels are closed.
    func stop() async throws { try await connector.stop() }
}
