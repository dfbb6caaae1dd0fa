internal import AccessPolicy
internal import AdminProtocol
internal import CloudConnector
internal import CloudProcess
internal import ConnectivityService
internal import ConnectorProcess
internal import DaemonSupport
internal import Glibc
internal import HostSystem
internal import NIOPosix
internal import Telemetry
internal import TextFormats

/// Both sides as the daemons they are, and an internal system, in one process with real files, sockets and TLS; and a walk
/// through what a user will see.
struct Demo {
    let files: DemoFiles
    let group: MultiThreadedEventLoopGroup
    let logLevel: LogLevel
    let speaker: DemoSpeaker
    let action: DemoProgram.Action
    let cloud: CloudDaemon
    private let cloudParts: DaemonParts
    let configuration: CloudConfiguration
    let backendPort: Int
    var backend: HelloWorldServer
    private var connector: OnPremiseDaemon
    private var connectorParts: DaemonParts
    /// Expectations that were not met.
    var failures: [String] = []

    init(
        _ files: DemoFiles,
        _ backendPort: Int,
        group: MultiThreadedEventLoopGroup,
        logLevel: LogLevel,
        _ speaker: DemoSpeaker,
        _ action: @escaping DemoProgram.Action
    ) async throws {
        (self.files, self.group, self.logLevel) = (files, group, logLevel)
        (self.speaker, self.action) = (speaker, action)
        let (configuration, _) = try CloudConfigurationReader.load(files.cloud)
        self.configuration = configuration
        let inside = try ConnectorFiles.load(files.connector)
        let hello = inside.connectors.flatMap(\.systems).first { $0.virtualHost == "internalhost" }
        self.backendPort = hello.map { Int($0.internalPort) } ?? backendPort
        (cloud, cloudParts) = try await StartError.wrap(file: files.isKept ? files.cloud : nil) {
            try await CloudDaemon.start(
                configuration,
                notifier: SystemdNotifier(),
                logger: configuration.process.logger("cloud", logLevel)
            )
        }
        do {
            backend = try await StartError.wrap { [port = self.backendPort] in
                try await HelloWorldServer.start(on: group, port: port)
            }
            if unsafe access(files.identity, F_OK) != 0 { try await Self.enrol(files) }
            (connector, connectorParts) = try await Self.startConnector(files, logLevel)
        } catch {
            await cloudParts.stop()
            throw error
        }
    }

    /// Pairs the two, as an administrator would.
    private static func enrol(_ files: DemoFiles) async throws {
        let wanted = AdminMessage.Enrolment(subaccount: DemoFiles.subaccount, locationID: "", seconds: 60)
        let token = try await AdminClient(path: files.cloudSocket).post("/enrolments", wanted)
            .decode(AdminMessage.Token.self)
        _ = try await ConnectorProgram.enrol(token.token, files.connector, owner: nil)
    }

    private static func startConnector(
        _ files: DemoFiles,
        _ logLevel: LogLevel
    ) async throws -> (OnPremiseDaemon, DaemonParts) {
        let loaded = try ConnectorFiles.load(files.connector)
        return try await StartError.wrap(file: files.connector) {
            try await OnPremiseDaemon.start(
                files.connector,
                loaded,
                notifier: SystemdNotifier(),
                logger: loaded.process.logger("connector", logLevel)
            )
        }
    }

    // MARK: Life

    /// Waits until the connector has a tunnel.
    ///
    /// - Returns: how many.
    func waitUntilConnected() async -> Int { await connector.waitUntilConnected() }

    func stopConnector() async { await connectorParts.stop() }

    /// Starts again what the walk has stopped.
    mutating func restart() async throws {
        backend = try await HelloWorldServer.start(on: group, port: backendPort)
        (connector, connectorParts) = try await Self.startConnector(files, logLevel)
        _ = await waitUntilConnected()
    }

    /// Both sides read their files again.
    func reload() async {
        for result in [await cloud.reload("SIGHUP"), await connector.reload("SIGHUP")] {
            for finding in result.findings { say(finding) }
        }
        say("reloaded")
    }

    func stop() async throws {
        await connectorParts.stop()
        await cloudParts.stop()
        try? await backend.stop()
    }

    func say(_ line: String) {
        print(line)
        fflush(nil)
    }
}
