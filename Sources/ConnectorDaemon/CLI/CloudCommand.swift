internal import ArgumentParser
internal import ConnectivityService
internal import Glibc
internal import Logging
internal import Telemetry
internal import TunnelCore

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
        TLSLibrary.start()
        // Before anything slow, so that none that comes early ends the process.
        let signals = Signals([SIGTERM, SIGINT, SIGHUP])
        let notifier = SystemdNotifier()
        let configuration = try CommandSupport.load { try CloudConfigurationReader.load(config) }
        let logger = CommandSupport.logger("cloud", logLevel, configuration.process)
        let daemon = try await CommandSupport.start {
            try await CloudDaemon.start(configuration, notifier: notifier, logger: logger)
        }
        logger.info(
            "connectivity service started",
            metadata: ["proxy_port": "\(daemon.service.proxyPort)", "tunnel_port": "\(daemon.service.tunnelPort)"]
        )
        try await daemon.run(signals)
    }
}
