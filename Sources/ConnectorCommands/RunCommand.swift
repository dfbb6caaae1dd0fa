package import ArgumentParser
internal import ConnectorProcess
internal import Telemetry

/// `connectord run`: the on-premise daemon.
package struct RunCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the connector.",
        discussion: """
            Serves the subaccount of the configuration file, and one more for each *.conf file in the folder \
            connector.d beside it. SIGHUP reloads them, SIGTERM finishes what is in flight and stops. Exit status: 64 \
            for a bad configuration, 1 if it cannot start.
            """
    )

    @Option(help: "The configuration file.")
    var config = DefaultFile.connector

    @Option(help: "How much to log; the file's log.level counts where it is not given.")
    var logLevel: LogLevel?

    package func run() async throws {
        try await CommandSupport.attempt {
            try await ConnectorProgram.run(config, logLevel: logLevel, warn: CommandSupport.report)
        }
    }
}
