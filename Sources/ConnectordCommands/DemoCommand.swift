internal import AdminProtocol
internal import ArgumentParser
internal import ConnectorCommands
internal import DaemonSupport
internal import DemoScenario
internal import JSON
internal import OpenAPI
internal import Telemetry

/// `connectord demo`: the whole path on one machine, aloud.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Show the whole path on this machine, from curl to a Hello World server.",
        discussion: """
            Starts a Hello World server, a cloud side and a connector that enrols there; walks through what works and what is \
            refused, by proxy, by destination and by action; then stays up for you to try. Other commands find it with \
            --demo. SIGHUP has both sides read their files again. Exit status: 0, or 1 if something was not as it should be.
            """
    )

    @Flag(help: "End after the walk.")
    var once = false

    @Option(help: "Keep its files in this folder, to be edited while it runs and used again; made if it is not there.")
    var directory: String?

    @Option(help: "Where the proxy listens; 0 lets the system choose this and all that is not named.")
    var proxyPort = 20003

    @Option(help: "Where the connectivity service takes tunnels (default: 20443).")
    var tunnelPort: Int?

    @Option(help: "Where the Hello World server listens (default: 3333).")
    var backendPort: Int?

    @Option(help: "Where tokens and destinations are asked for (default: 20080).")
    var apiPort: Int?

    @Option(help: "Where the page is (default: 20081).")
    var cockpitPort: Int?

    @Option(help: "Where SOCKS5 listens (default: 20004).")
    var socksPort: Int?

    @Option(help: "How much to log.")
    var logLevel = LogLevel.error

    func validate() throws {
        for (name, port) in [
            ("proxy", proxyPort), ("tunnel", tunnelPort), ("backend", backendPort), ("api", apiPort),
            ("cockpit", cockpitPort), ("socks", socksPort),
        ] as [(String, Int?)] {
            guard let port, !(0...65535).contains(port) else { continue }
            throw ValidationError("--\(name)-port \(port) is not a port: 0 to 65535")
        }
    }

    func run() async throws {
        let areFree = proxyPort == 0
        let ports = DemoProgram.Ports(
            proxy: proxyPort,
            tunnel: tunnelPort ?? (areFree ? 0 : 20443),
            backend: backendPort ?? (areFree ? 0 : 3333),
            api: apiPort ?? (areFree ? 0 : 20080),
            cockpit: cockpitPort ?? (areFree ? 0 : 20081),
            socks: socksPort ?? (areFree ? 0 : 20004)
        )
        let failures = try await CommandSupport.attempt {
            try await DemoProgram.run(
                ports,
                directory: directory,
                once: once,
                program: CommandLine.arguments.first ?? "connectord",
                logLevel: logLevel,
                action: Self.action
            )
        }
        for failure in failures { CommandSupport.printError("connectord: \(failure)") }
        if !failures.isEmpty { throw ExitCode.failure }
    }

    /// As `connectord action run` does.
    @Sendable private static func action(_ socket: String, _ destination: String, _ spec: String) async throws -> String
    {
        let runner = ActionRunner(
            client: AdminClient(path: socket),
            document: try ActionCommand.document(spec),
            destination: destination,
            subaccount: nil,
            values: [:],
            body: nil
        )
        let result = try await runner.run(try runner.find("hello"))
        guard result.isGood, let message = result.verdict?.pick("/message")?.plainText else { return result.summary }
        return message
    }
}
