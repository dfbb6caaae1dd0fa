package import ArgumentParser
internal import ConnectorProcess
internal import TextFormats

/// `connectord import`: takes over what another product was configured with.
package struct ImportCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Take over the configuration of another product.",
        subcommands: [ImportCloudConnector.self, ImportBackup.self]
    )
}

struct ImportCloudConnector: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scc",
        abstract: "Read the mappings of SAP's Cloud Connector over its API, and write them as files of this connector.",
        discussion: """
            It only reads. What has no equivalent is listed, and stands in the files as comments; nothing is exposed with \
            less protection than it had. Exit status: 0 when the files are written, 1 if not.
            """
    )

    @Argument(help: "Its address, such as https://scc.example.com:8443.")
    var url: String

    @Option(help: "A user with the role Administrator or Display.")
    var user = "Administrator"

    @Option(help: "A file that holds the password; - reads it from standard input.")
    var passwordFile: String

    @Option(help: "The certificate that its page shows, or the one of who has issued it (PEM).")
    var trustedCA: String?

    @OptionGroup var result: ImportResult

    func run() async throws {
        try await result.report {
            try await ImportProgram.scc(
                url,
                user: user,
                password: try CommandSupport.secret(passwordFile),
                trust: trustedCA,
                subaccount: result.subaccount,
                service: result.service,
                to: result.output
            )
        }
    }
}

struct ImportBackup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scc-backup",
        abstract:
            "Read the mappings of SAP's Cloud Connector from a backup of it, and write them as files of this connector.",
        discussion: """
            For backups of 2.18 and 2.19. Mappings, resources and subject patterns are in it without encryption, so no password is \
            asked for; secrets and certificates stay in it. Exit status: 0 when the files are written, 1 if not.
            """
    )

    @Argument(help: "The ZIP archive.")
    var file: String

    @OptionGroup var result: ImportResult

    func run() async throws {
        try await result.report {
            try ImportProgram.backup(file, subaccount: result.subaccount, service: result.service, to: result.output)
        }
    }
}

/// What is taken over, and where it goes.
struct ImportResult: ParsableArguments {
    @Option(help: "Only this subaccount.")
    var subaccount: String?

    @Option(help: "host:port of the connectivity service that the connector is to dial.")
    var service: String?

    @Option(help: "The folder to write to; files that are there already stay.")
    var output = "."

    /// Says what an import has written, and what there is to look at.
    func report(_ make: () async throws -> ImportProgram.Result) async throws {
        do {
            let result = try await make()
            for file in result.files { print(file) }
            if !result.notes.isEmpty { print("\nto look at:") }
            for note in result.notes { print("  - \(LogText.escaped(note.utf8))") }
            CommandSupport.report(result.findings)
        } catch let exit as ExitCode {
            throw exit
        } catch {
            CommandSupport.printError("connectord: nothing was imported: \(error)")
            throw ExitCode.failure
        }
    }
}
