internal import ArgumentParser
internal import ConnectivityService
internal import Logging

/// `connectord cloud`: the cloud side.
struct CloudCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cloud",
        abstract: "Run a connectivity service.",
        discussion: """
            Takes HTTP requests from programs as a proxy and sends them through the tunnels that connectors have \
            dialled. Exit status: 64 for a bad configuration, 1 if it cannot start.
            """
    )

    @Option(help: "The configuration file.")
    var config = "etc/cloud.conf"

    @Option(help: "How much to log.")
    var logLevel = LogLevel.info

    func run() async throws {
        let logger = CommandSupport.logger("cloud", logLevel)
        let configuration = try CommandSupport.load { try CloudConfigurationReader.load(config) }
        let service = try await CommandSupport.start {
            try await ConnectivityService.start(configuration, logger: logger)
        }
        logger.info(
            "connectivity service started",
            metadata: ["proxy_port": "\(service.proxyPort)", "tunnel_port": "\(service.tunnelPort)"]
        )
        await Signals.waitForTermination()
        logger.info("connectivity service stopping")
        try await service.shutdown()
    }
}
