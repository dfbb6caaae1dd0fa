internal import AdminProtocol
internal import ArgumentParser
internal import ConfigurationReading
internal import ConnectorCommands
internal import ConnectorProcess
internal import ControlProtocol
internal import DaemonSupport
internal import Glibc
internal import HostSystem
internal import TextFormats

/// `connectord enrol`: pairs a connector with a service.
struct EnrolCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enrol",
        abstract: "Pair a connector with a connectivity service.",
        discussion: """
            On the service: `connectord enrol create` prints a one-time token. On the connector: `connectord enrol \
            TOKEN` makes a key, has it certified and writes key, certificate and trust anchor where the configuration \
            says. `connectord enrol revoke` ends what a connector may do, at once.
            """,
        subcommands: [Create.self, EnrolUseCommand.self, Revoke.self],
        defaultSubcommand: EnrolUseCommand.self
    )

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create",
            abstract: "Print a one-time token for a new connector; asks the running service.",
            discussion: "Exit status: 1 if the service cannot be asked or has no certificate authority."
        )

        @Option(help: "The subaccount the connector will belong to.")
        var subaccount: String

        @Option(help: "Its location ID.")
        var locationID = ""

        @Option(help: "How long the token can be used, such as 15m; at most 24h.")
        var valid = "15m"

        @OptionGroup var service: ServiceOptions

        func run() async throws {
            guard let seconds = LifetimeText.parse(valid), seconds <= 86400 else {
                throw ValidationError("--valid must be a time such as 15m, at most 24h")
            }
            try await AdminCommand.run(service.admin) { client in
                let wanted = AdminMessage.Enrolment(subaccount: subaccount, locationID: locationID, seconds: seconds)
                let token = try await client.post("/enrolments", wanted).decode(AdminMessage.Token.self)
                print(token.token)
                if let note = token.note { CommandSupport.printError("note: \(note)") }
                CommandSupport.printError("valid once, until \(WallClock.text(token.expires)); on the connector:")
                CommandSupport.printError("  connectord enrol TOKEN --config /etc/connector/connector.conf")
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke",
            abstract: "Revoke a connector's certificates and cut its tunnels; asks the running service.",
            discussion: """
                Of connectors side by side all, unless --instance names one. Exit status: 1 if the service cannot be asked or knows no \
                valid certificate of the connector.
                """
        )

        @Option(help: "The connector's subaccount.")
        var subaccount: String

        @Option(help: "Its location ID.")
        var locationID = ""

        @Option(help: "Of several side by side, the one with this instance alone.")
        var instance: String?

        @OptionGroup var service: ServiceOptions

        func run() async throws {
            try await AdminCommand.run(service.admin) { client in
                let wanted = AdminMessage.Identity(
                    subaccount: subaccount,
                    locationID: locationID,
                    instance: instance
                )
                let revoked = try await client.post("/revocations", wanted).decode(AdminMessage.Revoked.self)
                print(
                    "\(Count.text(revoked.certificates, "certificate")) revoked, \(Count.text(revoked.tunnels, "tunnel")) cut"
                )
            }
        }
    }
}

/// Where a running connectivity service is asked.
struct ServiceOptions: ParsableArguments {
    @Option(help: "The service's configuration file, which names its admin socket.")
    var config = DefaultFile.cloud

    @Option(help: "The admin socket itself, instead of what the file says.")
    var socket: String?

    @Flag(help: "The demonstration that runs (`connectord demo`).")
    var demo = false

    /// Whether the command line says which service.
    var isNamed: Bool { demo || socket != nil || config != DefaultFile.cloud }

    var admin: AdminOptions {
        var options = AdminOptions()
        options.config = config
        options.cloud = true
        options.socket = socket
        options.demo = demo
        return options
    }
}
