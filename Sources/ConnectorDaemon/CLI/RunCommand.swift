internal import ArgumentParser
internal import Glibc
internal import Logging

/// `connectord run`: the on-premise daemon.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the connector.",
        discussion: """
            Serves the subaccount of the configuration file, and one more for each *.conf file in the folder \
            connector.d beside it. Exit status: 64 for a bad configuration, 1 if it cannot start.
            """
    )

    @Option(help: "The configuration file.")
    var config = "etc/connector.conf"

    @Option(help: "How much to log.")
    var logLevel = LogLevel.info

    func run() async throws {
        let logger = CommandSupport.logger("connector", logLevel)
        var configurations: [ConnectorConfiguration] = []
        for file in [config] + ConfigurationFolder.files(beside: config) {
            configurations.append(try CommandSupport.load { try ConnectorConfigurationReader.load(file) })
        }
        let connectors = try await CommandSupport.start {
            var connectors: [Connector] = []
            for configuration in configurations {
                var logger = logger
                if configurations.count > 1 { logger[metadataKey: "subaccount"] = "\(configuration.subaccount)" }
                connectors.append(try await Connector(configuration, logger: logger))
            }
            return connectors
        }
        logger.info(
            "connector started",
            metadata: ["systems": "\(configurations.map(\.systems.count).reduce(0, +))", "config": "\(config)"]
        )
        try await withThrowingTaskGroup { tasks in
            for connector in connectors { tasks.addTask { try await connector.run() } }
            await Signals.waitForTermination()
            logger.info("connector stopping")
            tasks.cancelAll()
            try await tasks.waitForAll()
        }
    }
}

/// The folder for further subaccounts.
enum ConfigurationFolder {
    /// The `*.conf` files in `connector.d` beside `file`, in alphabetical order.
    static func files(beside file: String) -> [String] {
        let folder = file.split(separator: "/", omittingEmptySubsequences: false).dropLast().map(String.init)
        let path = (folder + ["connector.d"]).joined(separator: "/")
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var files: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { octets in
                String(decoding: octets.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name.hasSuffix(".conf"), !name.hasPrefix(".") { files.append("\(path)/\(name)") }
        }
        return files.sorted()
    }
}
