package import ConfigurationReading
internal import ConnectivityService
internal import Cryptography
internal import DaemonSupport
internal import Glibc
internal import HostSystem
internal import Logging
package import Telemetry

/// What the cloud side's command line can have done, from the path of the configuration file on.
package enum CloudProgram {
    /// Runs a connectivity service, and what belongs to it, until SIGTERM or SIGINT.
    ///
    /// - Parameter warn: gets what is odd in the file, before anything starts.
    /// - Throws: `ConfigurationError` with all that is wrong in the file, or `StartError`.
    package static func run(_ file: String, logLevel: LogLevel?, warn: ([Finding]) -> Void) async throws {
        TLSLibrary.start()
        // Before anything slow, so that none that comes early ends the process.
        let signals = Signals([SIGTERM, SIGINT, SIGHUP])
        let notifier = SystemdNotifier()
        let (configuration, warnings) = try CloudConfigurationReader.load(file)
        warn(warnings)
        let logger = configuration.process.logger("cloud", logLevel)
        let (daemon, parts) = try await StartError.wrap(file: file) {
            try await CloudDaemon.start(configuration, notifier: notifier, logger: logger)
        }
        logger.info(
            "connectivity service started",
            metadata: ["proxy_port": "\(daemon.service.proxyPort)", "tunnel_port": "\(daemon.service.tunnelPort)"]
        )
        try await DaemonProcess.run(daemon, parts, signals, notifier, logger)
    }

    /// - Returns: what is odd in a file that can be used.
    /// - Throws: what `cloud` would refuse, in the file and in those that it names.
    package static func warnings(_ file: String) throws(ConfigurationError) -> [Finding] {
        let (configuration, warnings) = try CloudConfigurationReader.load(file)
        let findings = warnings + configuration.fileFindings
        guard !findings.contains(where: { $0.severity == .error }) else { throw ConfigurationError(findings: findings) }
        return findings
    }
}
