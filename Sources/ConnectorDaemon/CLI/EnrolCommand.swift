internal import ArgumentParser
internal import ControlProtocol
internal import Glibc
internal import Telemetry
internal import TunnelCore

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
        subcommands: [Create.self, Use.self, Revoke.self],
        defaultSubcommand: Use.self
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
                let wish = AdminMessage.Enrolment(subaccount: subaccount, locationID: locationID, seconds: seconds)
                let token = try await client.post("/enrolments", wish).decode(AdminMessage.Token.self)
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
            discussion: "Exit status: 1 if the service cannot be asked or knows no valid certificate of the connector."
        )

        @Option(help: "The connector's subaccount.")
        var subaccount: String

        @Option(help: "Its location ID.")
        var locationID = ""

        @OptionGroup var service: ServiceOptions

        func run() async throws {
            try await AdminCommand.run(service.admin) { client in
                let wish = AdminMessage.Identity(subaccount: subaccount, locationID: locationID)
                let revoked = try await client.post("/revocations", wish).decode(AdminMessage.Revoked.self)
                print(
                    "\(StatusText.count(revoked.certificates, "certificate")) revoked, \(StatusText.count(revoked.tunnels, "tunnel")) cut"
                )
            }
        }
    }

    struct Use: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "use",
            abstract: "Enrol this connector with a token.",
            discussion: """
                Start or reload the connector afterwards. Exit status: 1 if the service refused or could not be \
                reached, 64 if token and configuration do not fit.
                """
        )

        @Argument(help: "What `connectord enrol create` printed.")
        var token: String

        @Option(help: "The connector's configuration file; its paths are written to, its proxy is used.")
        var config = DefaultFile.connector

        @Option(help: "Who shall own the files, when run as root; by default the owner of their folder.")
        var owner: String?

        func run() async throws {
            guard let token = EnrolmentToken(text: token) else {
                CommandSupport.printError("connectord: this is no enrolment token; copy the whole word")
                throw ExitCode(EX_USAGE)
            }
            let (configuration, _) = try CommandSupport.loadIgnoringMissingFiles(config)
            do {
                let result = try await Enrolment(token: token, configuration: configuration, owner: owner).run()
                print("enrolled as \(configuration.identity)")
                for file in result.files { print("  \(file)") }
                print("certificate valid until \(WallClock.text(result.expires)); it is renewed by itself")
            } catch let error as EnrolMismatch {
                CommandSupport.printError("connectord: \(error)")
                throw ExitCode(EX_USAGE)
            } catch {
                CommandSupport.printError("connectord: not enrolled: \(BackendRefusal.explain(error).cause)")
                throw ExitCode.failure
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

    var admin: AdminOptions {
        var options = AdminOptions()
        options.config = config
        options.cloud = true
        options.socket = socket
        return options
    }
}
