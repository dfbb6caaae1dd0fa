package import ArgumentParser
internal import ConnectorCommands
internal import ControlProtocol

/// The command line; each subcommand is in a file of its own in `CLI`.
package struct Connectord: AsyncParsableCommand {
    package init() {}

    /// Runs the subcommand that the process's arguments name, to its end.
    package static func run() async {
        CommandSupport.refuseUnknown(CommandLine.arguments, of: configuration)
        await main()
    }

    package static let configuration = CommandConfiguration(
        commandName: "connectord",
        abstract: "Lets programs in the cloud call chosen systems inside a closed network.",
        discussion: """
            On the inside, `connectord run` dials a TLS tunnel out to a connectivity service and forwards what its \
            configuration allows. `connectord cloud` is such a service. `connectord demo` shows both together.
            """,
        version: Version.current,
        groupedSubcommands: [
            CommandGroup(name: "Daemons", subcommands: [RunCommand.self, CloudCommand.self, DemoCommand.self]),
            CommandGroup(
                name: "Configuration",
                subcommands: [
                    CheckBothConfigCommand.self, ExplainCommand.self, SystemCommand.self, ResourceCommand.self,
                    ConfigCommand.self, LearnCommand.self, RehearseCommand.self, CertificateCommand.self,
                    EnrolCommand.self, ImportCommand.self, CertificatesCommand.self,
                ]
            ),
            CommandGroup(
                name: "Operation",
                subcommands: [
                    StatusCommand.self, CheckCommand.self, DoctorCommand.self, ReloadCommand.self, RotateCommand.self,
                    LogLevelCommand.self, AuditCommand.self, AdministratorsCommand.self,
                ]
            ),
            CommandGroup(
                name: "Cloud side",
                subcommands: [
                    EnvCommand.self, TokenCommand.self, DestinationCommand.self, ProcessOrchestrationCommand.self,
                    ActionCommand.self, ForwardCommand.self, StoreCommand.self,
                ]
            ),
        ]
    )
}
