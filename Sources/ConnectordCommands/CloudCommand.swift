internal import ArgumentParser
internal import CloudProcess
internal import ConnectorCommands
internal import Telemetry

/// `connectord cloud`: the cloud side.
struct CloudCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cloud",
        abstract: "Run a connectivity service.",
        discussion: """
            Takes HTTP requests from programs as a proxy and sends them through the tunnels that connectors have \
            dialled. SIGHUP reloads the configuration, SIGTERM finishes what is in flight and stops. Exit status: 64 \
            for a bad configuration, 1 if it cannot start.
            """
    )

    @Option(help: "The configuration file.")
    var config = DefaultFile.cloud

    @Option(help: "How much to log; the file's log.level counts where it is not given.")
    var logLevel: LogLevel?

    func run() async throws {
        try await CommandSupport.attempt {
            try await CloudProgram.run(config, logLevel: logLevel, warn: CommandSupport.report)
        }
    }
}
