internal import AdminProtocol
internal import ArgumentParser
internal import ConnectorCommands
internal import DaemonSupport
internal import Glibc
internal import JSON
internal import LocalForward
internal import Telemetry
internal import TextFormats

/// `connectord forward`
struct ForwardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forward",
        abstract: "Open a local port that leads to a TCP system behind a Cloud Connector.",
        discussion: """
            For clients that do not speak SOCKS5 with SAP's authentication, which are nearly all:

              connectord forward 5432 database:5432 &
              psql -h localhost -p 5432

            The way is taken from VCAP_SERVICES where it is set and nothing else is named, else from the running cloud side. \
            Tokens are asked for and renewed; whoever may connect to the local port needs none, so it is on loopback only. \
            Runs until SIGTERM or SIGINT. Exit status: 1 if the port is taken or there is no token.
            """
    )

    @Argument(help: "The local port, or ADDRESS:PORT with an address of loopback; 0 lets the system choose.")
    var local: String

    @Argument(help: "The virtual host and port.")
    var system: String

    @Option(help: "Of the Cloud Connector that exposes it.")
    var locationID = ""

    @Option(help: "The subaccount whose connectors are meant, if not the service's own.")
    var subaccount: String?

    @Option(help: "Certificates that a token service with https is checked with.")
    var trustedCa = "/etc/ssl/certs/ca-certificates.crt"

    @Option(help: "How much to log.")
    var logLevel = LogLevel.info

    @OptionGroup var service: ServiceOptions

    func run() async throws {
        let (address, target) = try parsed()
        do {
            let binding = try await binding()
            let trust = unsafe access(trustedCa, R_OK) == 0 ? trustedCa : nil
            let logger = ProcessConfiguration().logger("forward", logLevel)
            let forwarder = try LocalForwarder(binding, target, trust: trust, logger)
            let system = system
            try await forwarder.run(address) { port in
                print("localhost:\(port) leads to \(system)")
                fflush(nil)
            }
        } catch {
            CommandSupport.printError("connectord: \(error)")
            throw ExitCode.failure
        }
    }

    private func parsed() throws -> (HostPort, LocalForwarder.Target) {
        let parts = local.contains(":") ? HostPort.parse(local) : ("127.0.0.1", Int(local))
        guard let (host, port) = parts, let port, (0...65535).contains(port) else {
            throw ValidationError("\(LogText.escaped(local.utf8)) is not a port or ADDRESS:PORT")
        }
        let address = HostPort(host: host, port: port)
        guard address.isLoopback else {
            throw ValidationError("whoever reaches the port needs no token: it listens on 127.0.0.1 or [::1] only")
        }
        guard let (name, number) = HostPort.parse(system), let number, name.utf8.count <= 255 else {
            throw ValidationError(
                "\(LogText.escaped(system.utf8)) is not a virtual host with its port, such as database:5432"
            )
        }
        guard locationID.utf8.count <= 180 else { throw ValidationError("the location ID is longer than 180 bytes") }
        return (
            address,
            LocalForwarder.Target(
                system: HostPort(host: name, port: number),
                locationID: locationID,
                tenant: subaccount
            )
        )
    }

    private func binding() async throws -> ConnectivityBinding {
        if !service.isNamed, let services = unsafe getenv("VCAP_SERVICES") {
            return try ConnectivityBinding.find(inVCAP: unsafe String(cString: services))
        }
        let bindings = try await service.admin.client().get("/bindings").decode(ServiceBindings.self)
        guard let binding = bindings.connectivity.first else {
            throw AdminError("the service issues no tokens: it has no section \"api\"")
        }
        return try ConnectivityBinding(binding.credentials)
    }
}
