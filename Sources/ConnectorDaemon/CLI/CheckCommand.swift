internal import AccessPolicy
internal import ArgumentParser
internal import ControlProtocol
internal import NIOCore
internal import TunnelCore

/// `connectord check`: availability of internal hosts.
struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Look whether internal hosts can be reached.",
        discussion: """
            HEAD / for HTTP and HTTPS, a connection for TCP, a handshake for TCPS. A running connector looks from where \
            it is; if none runs, this command looks itself. Exit status: 0 when all are reachable, 2 when one is not, \
            64 for a bad configuration, 1 for anything else.
            """
    )

    @Argument(help: "Virtual hosts, as host or host:port; none for all.")
    var hosts: [String] = []

    @OptionGroup var options: ConnectorOptions

    @Flag(help: "Look from here, even if a connector runs.")
    var local = false

    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        try await AdminCommand.run(options.admin) { client in
            let systems: [ConnectorStatus.System]
            if !local, let response = try? await client.post("/check", AdminMessage.Check(hosts: hosts)) {
                systems = try response.decode(AdminMessage.Systems.self).systems
            } else {
                systems = try await look()
            }
            if json {
                AdminCommand.printJSON(JSONLines.encode(systems))
            } else {
                print(StatusText.table(systems), terminator: "")
            }
            if systems.contains(where: { $0.availability.state == .notReachable }) { throw ExitCode(2) }
        }
    }

    private func look() async throws -> [ConnectorStatus.System] {
        let configurations = try CommandSupport.load { () throws(ConfigurationError) in
            try ConnectorFiles.load(options.config)
        }
        var results: [ConnectorStatus.System] = []
        for configuration in configurations {
            let systems = configuration.systems.filter {
                hosts.isEmpty || hosts.contains($0.virtualAddress) || hosts.contains($0.virtualHost)
            }
            let checker = AvailabilityChecker(
                logger: CommandSupport.logger("check", .error, configuration.process)
            )
            let snapshot = ForwardingSnapshot(
                policy: AccessPolicy(systems: systems),
                backendTLS: try TLSContext(configuration.backendTLS),
                configuration: configuration.forwarding
            )
            checker.apply(snapshot, configuration.check)
            await checker.checkNow(systems)
            results += systems.map { ConnectorStatus.System($0, checker) }
        }
        if let unknown = hosts.first(where: { host in
            !results.contains { $0.virtualHost == host || $0.virtualHost.hasPrefix(host + ":") }
        }) {
            let all = configurations.flatMap { $0.systems.map(\.virtualAddress) }
            let nearest = NearestName.find(unknown, among: all).map { "; did you mean \($0)?" } ?? ""
            throw AdminFailure("\(LogText.escaped(unknown.utf8)) is not exposed\(nearest)")
        }
        return results
    }
}

extension ConnectorStatus.System {
    init(_ system: SystemMapping, _ checker: AvailabilityChecker) {
        self.init(
            virtualHost: system.virtualAddress,
            internalHost: system.internalAddress,
            protocol: system.protocol.rawValue,
            activeResources: system.resources.count { $0.isActive },
            availability: checker.availability(of: system)
        )
    }
}
