internal import ArgumentParser
internal import Glibc
internal import Logging
internal import Telemetry
internal import TunnelCore

/// `connectord run`: the on-premise daemon.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
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

    func run() async throws {
        TLSLibrary.start()
        // Before anything slow, so that none that comes early ends the process.
        let signals = Signals([SIGTERM, SIGINT, SIGHUP])
        let notifier = SystemdNotifier()
        let configurations = try CommandSupport.load { () throws(ConfigurationError) in
            try ConnectorFiles.load(config)
        }
        let logger = CommandSupport.logger("connector", logLevel, configurations[0].process)
        let daemon = try await CommandSupport.start {
            try await OnPremiseDaemon.start(config, configurations, notifier: notifier, logger: logger)
        }
        logger.info(
            "connector started",
            metadata: ["systems": "\(configurations.map(\.systems.count).reduce(0, +))", "config": "\(config)"]
        )
        try await daemon.run(signals)
    }
}

/// The main file and those in `connector.d` beside it.
enum ConnectorFiles {
    static func load(_ file: String) throws(ConfigurationError) -> ([ConnectorConfiguration], warnings: [Finding]) {
        var configurations: [ConnectorConfiguration] = []
        var findings: [Finding] = []
        for file in [file] + ConfigurationFolder.files(beside: file) {
            do throws(ConfigurationError) {
                let (configuration, warnings) = try ConnectorConfigurationReader.load(file)
                findings += warnings
                findings += check(configuration, against: configurations)
                configurations.append(configuration)
            } catch {
                findings += error.findings
            }
        }
        guard !findings.contains(where: { $0.severity == .error }) else {
            throw ConfigurationError(findings: findings)
        }
        return (configurations, findings)
    }

    private static func check(_ new: ConnectorConfiguration, against others: [ConnectorConfiguration]) -> [Finding] {
        guard let main = others.first else { return [] }
        var findings: [Finding] = []
        if new.process.isGiven {
            let message = "log, audit and admin are the whole process's; say them in \(main.file)"
            findings.append(Finding(severity: .error, file: new.file, line: 1, column: 1, key: "", message: message))
        }
        if let twin = others.first(where: { $0.identity == new.identity }) {
            let message = "is for the same subaccount and location ID as \(twin.file)"
            findings.append(
                Finding(severity: .error, file: new.file, line: 1, column: 1, key: "subaccount", message: message)
            )
        }
        return findings
    }
}

/// The folder for further subaccounts.
enum ConfigurationFolder {
    /// The `*.conf` files in `connector.d` beside `file`, in alphabetical order.
    static func files(beside file: String) -> [String] {
        let folder = file.split(separator: "/", omittingEmptySubsequences: false).dropLast().map(String.init)
        let path = (folder + ["connector.d"]).joined(separator: "/")
        return Folder.names(path).filter { $0.hasSuffix(".conf") }.sorted().map { "\(path)/\($0)" }
    }
}
