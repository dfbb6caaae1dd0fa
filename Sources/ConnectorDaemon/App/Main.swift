internal import ArgumentParser

/// The command line; each subcommand is in a file of its own in `CLI`.
@main
struct Connectord: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connectord",
        abstract: "Lets programs in the cloud call chosen systems inside a closed network.",
        discussion: """
            On the inside, `connectord run` dials a TLS tunnel out to a connectivity service and forwards what its \
            configuration allows. `connectord cloud` is such a service. `connectord demo` shows both together.
            """,
        version: "0.1.0",
        subcommands: [
            RunCommand.self, CloudCommand.self, DemoCommand.self, CheckConfigCommand.self, ExplainCommand.self,
            CertificatesCommand.self,
        ]
    )
}
