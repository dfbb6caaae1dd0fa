internal import AdminProtocol
package import ArgumentParser
internal import ConfigurationReading
package import DaemonSupport
internal import Glibc
internal import Telemetry
internal import TextFormats

/// Where a running daemon is asked.
package struct AdminOptions: ParsableArguments {
    package init() {}

    @Option(help: "The daemon's configuration file, which names its admin socket.")
    package var config = DefaultFile.connector

    @Flag(help: "The daemon is a connectivity service; its file is cloud.conf unless --config says otherwise.")
    package var cloud = false

    @Option(help: "The admin socket itself, instead of what the file says.")
    package var socket: String?

    @Flag(help: "The demonstration that runs (`connectord demo`).")
    package var demo = false

    var file: String { cloud && config == DefaultFile.connector ? DefaultFile.cloud : config }

    /// Where the daemon is asked that the options name.
    package func client() throws -> AdminClient {
        if let socket { return AdminClient(path: socket) }
        if demo { return try DemoFolder.client(isCloud: cloud) }
        let bytes: [UInt8]
        do throws(ConfigurationError) {
            bytes = try ConfigurationFile.bytes(file)
        } catch {
            throw AdminError("\(error.findings[0]); name the daemon's file with --config or its socket with --socket")
        }
        // The file may be broken while the daemon still runs on the old one; the socket is all that is needed.
        let findings = Findings(file: file)
        func fallback(_ isCloud: Bool) -> String {
            isCloud ? "/run/connector-cloud/admin.sock" : "/run/connector/admin.sock"
        }
        guard var section = ConfigurationFile.section(bytes, findings) else {
            return AdminClient(path: fallback(cloud))
        }
        // Whose file it is, the file says, whether or not --cloud does.
        let isCloud = cloud || ["proxy", "enrolment", "store", "peers"].contains { section.has($0) }
        let path = ProcessConfiguration.read(&section, findings, socket: fallback(isCloud)).adminSocket
        guard !path.isEmpty else { throw AdminError("\(file) has no admin socket; set admin.socket") }
        return AdminClient(path: path)
    }
}

/// Where a running connector is asked, for what a service cannot answer.
package struct ConnectorOptions: ParsableArguments {
    package init() {}

    @Option(help: "The connector's configuration file, which names its admin socket.")
    var config = DefaultFile.connector

    @Option(help: "The admin socket itself, instead of what the file says.")
    var socket: String?

    @Flag(help: "The demonstration that runs (`connectord demo`).")
    var demo = false

    var admin: AdminOptions {
        var options = AdminOptions()
        (options.config, options.cloud, options.socket, options.demo) = (config, false, socket, demo)
        return options
    }
}

/// The configuration that a command reads by itself, without asking a daemon.
package struct ConnectorFileOption: ParsableArguments {
    package init() {}

    @Option(help: "The connector's configuration file.")
    var config = DefaultFile.connector

    @Flag(help: "That of the demonstration that runs (`connectord demo`).")
    var demo = false

    func file() throws -> String { demo ? try DemoFolder.connectorFile() : config }
}

/// What the commands that ask a daemon share.
package enum AdminCommand {
    /// Runs `body`; what goes wrong is said in one line, with exit status 1.
    package static func run(_ options: AdminOptions, _ body: (AdminClient) async throws -> Void) async throws {
        do {
            try await body(try options.client())
        } catch let exit as ExitCode {
            throw exit
        } catch {
            CommandSupport.printError("connectord: \(error)")
            throw ExitCode.failure
        }
    }

    /// Writes a document to standard output as it is.
    package static func printJSON(_ bytes: [UInt8]) { print(String(decoding: bytes, as: UTF8.self), terminator: "") }
}

/// `connectord status`
package struct StatusCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what a running connector or service knows: tunnels, systems, availability, last errors.",
        discussion:
            "Exit status: 0 if it runs and has a tunnel or stands by, 1 if it cannot be asked, 2 if there is no tunnel."
    )

    @OptionGroup var options: AdminOptions

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "Show the last requests, the latest first, instead.")
    var requests = false

    package func run() async throws {
        try await AdminCommand.run(options) { client in
            if requests {
                let response = try await client.get("/requests")
                let list = try response.decode([RecentRequest].self)
                return json ? AdminCommand.printJSON(response.body) : print(StatusText.describe(list), terminator: "")
            }
            let response = try await client.get("/status")
            try checkSide(response)
            if options.cloud {
                let status = try response.decode(ServiceStatus.self)
                json ? AdminCommand.printJSON(response.body) : print(StatusText.describe(status), terminator: "")
                if status.connectors.allSatisfy({ $0.tunnels == 0 }) { throw ExitCode(2) }
            } else {
                let status = try response.decode(ConnectorStatus.self)
                json ? AdminCommand.printJSON(response.body) : print(StatusText.describe(status), terminator: "")
                if status.connectors.allSatisfy({ $0.tunnels.isEmpty && $0.isStandingBy != true }) { throw ExitCode(2) }
            }
        }
    }
}

extension StatusCommand {
    /// The two sides answer differently, and a file of one is easily named for the other.
    private func checkSide(_ response: AdminClient.Response) throws {
        let isService = (try? response.decode(ServiceStatus.self)) != nil
        let isConnector = (try? response.decode(ConnectorStatus.self)) != nil
        if options.cloud, !isService, isConnector {
            throw AdminError("this is a connector; ask it without --cloud")
        }
        if !options.cloud, !isConnector, isService {
            throw AdminError("this is a connectivity service; ask it with --cloud")
        }
    }
}

/// `connectord reload`
package struct ReloadCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Have a running daemon read its configuration again.",
        discussion: """
            Either everything is put into effect or nothing; requests in progress are not touched. Exit status: 0 if \
            the new configuration is in force, 64 if it is bad and the old one still is, 1 if the daemon cannot be asked.
            """
    )

    @OptionGroup var options: AdminOptions

    package func run() async throws {
        try await AdminCommand.run(options) { client in
            let result = try await client.post("/reload", AdminMessage.Empty()).decode(AdminMessage.Reload.self)
            for finding in result.findings { CommandSupport.printError(finding) }
            if !result.isApplied {
                CommandSupport.printError("connectord: the configuration was not changed; the old one is in force")
                throw ExitCode(EX_USAGE)
            }
            print("reloaded")
        }
    }
}

/// `connectord rotate`
package struct RotateCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "rotate",
        abstract: "Replace all tunnels of a running connector by new ones, which come first.",
        discussion: "No request is lost. Returns when the old tunnels are gone. Exit status: 1 if it cannot be asked."
    )

    @OptionGroup var options: ConnectorOptions

    package func run() async throws {
        try await AdminCommand.run(options.admin) { client in
            _ = try await client.post("/rotate", AdminMessage.Empty()).decode(AdminMessage.Empty.self)
            print("rotated")
        }
    }
}

/// `connectord log-level`
package struct LogLevelCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "log-level",
        abstract: "Change how much a running daemon logs, until its next start.",
        discussion: "Exit status: 1 if it cannot be asked."
    )

    @Argument(help: "The new level.")
    var level: LogLevel

    @OptionGroup var options: AdminOptions

    package func run() async throws {
        try await AdminCommand.run(options) { client in
            let answer = try await client.put("/log-level", AdminMessage.Level(level: level.rawValue))
                .decode(AdminMessage.Level.self)
            print("log level is \(answer.level)")
        }
    }
}

/// `connectord audit verify`
package struct AuditCommand: ParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Work with audit files.",
        subcommands: [Verify.self]
    )

    struct Verify: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify",
            abstract: "Find out whether audit files were edited, cut or put in another order.",
            discussion: """
                Exit status: 0 if the chain is whole, 2 if it is not, 1 if it cannot be read. Whoever can write the \
                folder can exchange audit.pub as well, so keep a copy elsewhere and name it with --public-key.
                """
        )

        @Argument(help: "The folder with the audit files.")
        var directory: String

        @Option(help: "The public half of the key that seals the chain, PEM.")
        var publicKey: String?

        func run() throws {
            let result: AuditVerifier.Result
            do {
                result = try AuditVerifier(folder: directory, publicKey: publicKey).verify()
            } catch {
                CommandSupport.printError("connectord: \(error)")
                throw ExitCode.failure
            }
            for finding in result.findings { print(finding) }
            for note in result.notes { print("note: \(note)") }
            let records = "\(Count.text(result.records, "record")) in \(Count.text(result.files, "file"))"
            guard result.findings.isEmpty else {
                print("NOT WHOLE: \(records), \(Count.text(result.findings.count, "finding"))")
                throw ExitCode(2)
            }
            print("whole: \(records)")
        }
    }
}
