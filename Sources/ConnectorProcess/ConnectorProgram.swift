internal import AdminProtocol
internal import CloudConnector
package import ConfigurationReading
internal import ControlProtocol
internal import Cryptography
internal import DaemonSupport
internal import Glibc
internal import HostSystem
internal import Kerberos
internal import Logging
internal import Networking
package import Telemetry
internal import TextFormats

/// What the connector's command line can have done, from the path of the main configuration file on.
///
/// `warn` gets what is odd in the files, before anything else happens. Where they cannot be used, a `ConfigurationError` says
/// all that is wrong.
package enum ConnectorProgram {
    /// Runs the connector until SIGTERM or SIGINT.
    ///
    /// - Throws: `ConfigurationError`, or `StartError`.
    package static func run(_ file: String, logLevel: LogLevel?, warn: ([Finding]) -> Void) async throws {
        TLSLibrary.start()
        // The environment, which the Kerberos library reads, changes no more once there are threads.
        _ = KerberosProfile.shared
        // Before anything slow, so that none that comes early ends the process.
        let signals = Signals([SIGTERM, SIGINT, SIGHUP])
        let notifier = SystemdNotifier()
        let files = try ConnectorFiles.load(file)
        warn(files.warnings)
        let logger = files.process.logger("connector", logLevel)
        let (daemon, parts) = try await StartError.wrap(file: file) {
            try await OnPremiseDaemon.start(file, files, notifier: notifier, logger: logger)
        }
        logger.info(
            "connector started",
            metadata: ["systems": "\(files.connectors.map(\.systems.count).reduce(0, +))", "config": "\(file)"]
        )
        try await DaemonProcess.run(daemon, parts, signals, notifier, logger)
    }

    /// - Returns: what is odd in one file that can be used.
    /// - Throws: what `run` would refuse, in the file and in those that it names.
    package static func warnings(_ file: String) throws(ConfigurationError) -> [Finding] {
        let loaded = try ConnectorConfigurationReader.load(file)
        let findings = loaded.warnings + loaded.configuration.fileFindings
        guard !findings.contains(where: { $0.severity == .error }) else { throw ConfigurationError(findings: findings) }
        return findings
    }

    /// What would become of a request.
    package static func explain(
        _ file: String,
        method: String,
        url: String,
        isUpgrade: Bool,
        userToken: [UInt8]? = nil,
        warn: ([Finding]) -> Void
    ) throws(ConfigurationError) -> Explanation {
        let loaded = try ConnectorConfigurationReader.load(file)
        warn(loaded.warnings)
        return Explanation(
            method: method,
            url: url,
            isUpgrade: isUpgrade,
            userToken: userToken,
            configuration: loaded.configuration
        )
    }

    /// Goes the way to the service step by step, and prints what it finds.
    ///
    /// - Returns: whether each connector can open a tunnel.
    package static func examine(_ file: String, warn: ([Finding]) -> Void) async throws -> Bool {
        let files = try ConnectorFiles.load(file)
        warn(files.warnings)
        var isHealthy = true
        for configuration in files.connectors {
            if files.connectors.count > 1 { print("\(configuration.identity)") }
            var doctor = Doctor(configuration)
            isHealthy = await doctor.examine() && isHealthy
        }
        return isHealthy
    }

    /// Pairs the connector with a service.
    ///
    /// - Parameters:
    ///   - token: as `connectord enrol create` prints it.
    ///   - owner: of the files, where root runs this; nil for the owner of their folder.
    /// - Throws: `EnrolMismatchError` where token and file do not fit, `ConfigurationError`, `ConnectionError` for the rest.
    package static func enrol(_ token: String, _ file: String, owner: String?) async throws -> EnrolmentResult {
        guard let token = EnrolmentToken(text: token) else {
            throw EnrolMismatchError(description: "this is not an enrolment token; copy the whole word")
        }
        // That the certificates are missing is no news before the enrolment.
        let configuration = try ConnectorConfigurationReader.load(file).configuration
        do {
            let result = try await Enrolment(token: token, configuration: configuration, owner: owner).run()
            return EnrolmentResult(
                identity: "\(configuration.identity)",
                files: result.files,
                expires: result.expires
            )
        } catch let error as EnrolMismatchError {
            throw error
        } catch {
            throw ConnectionError(error)
        }
    }
}

/// What an enrolment has brought.
package struct EnrolmentResult: Sendable {
    /// Subaccount and location ID, for people.
    package var identity: String
    package var files: [String]
    /// Of the certificate, in seconds since 1970.
    package var expires: Int
}
