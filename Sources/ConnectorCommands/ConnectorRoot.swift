package import ArgumentParser
internal import ControlProtocol

/// The command line of `connectord-connector`: the program for the closed network, without the cloud side.
package struct ConnectorRoot: AsyncParsableCommand {
    package init() {}

    /// Runs the subcommand that the process's arguments name, to its end.
    package static func run() async {
        CommandSupport.refuseUnknown(CommandLine.arguments, of: configuration)
        await main()
    }

    package static let configuration = CommandConfiguration(
        commandName: "connectord-connector",
        abstract: "Lets programs in the cloud call chosen systems inside this network.",
        discussion: """
            `connectord-connector run` dials a TLS tunnel out to a connectivity service and forwards what its \
            configuration allows. It is `connectord` without the cloud side.
            """,
        version: Version.current,
        groupedSubcommands: [
            CommandGroup(name: "Daemon", subcommands: [RunCommand.self]),
            CommandGroup(
                name: "Configuration",
                subcommands: [
                    CheckConfigCommand.self, ExplainCommand.self, SystemCommand.self, ResourceCommand.self,
                    ConfigCommand.self, LearnCommand.self, RehearseCommand.self, CertificateCommand.self,
                    EnrolConnectorCommand.self, ImportCommand.self,
                ]
            ),
            CommandGroup(
                name: "Operation",
                subcommands: [
                    StatusCommand.self, CheckCommand.self, DoctorCommand.self, ReloadCommand.self, RotateCommand.self,
                    LogLevelCommand.self, AuditCommand.self, AdministratorsCommand.self,
                ]
            ),
        ]
    )
}

/// `connectord-connector enrol TOKEN`
package struct EnrolConnectorCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "enrol",
        abstract: "Pair this connector with a connectivity service.",
        subcommands: [EnrolUseCommand.self],
        defaultSubcommand: EnrolUseCommand.self
    )
}
