package import AdminAccess
package import CloudConnector
package import ConfigurationReading
package import DaemonSupport
internal import HostSystem

/// What the main file and those in `connector.d` beside it say.
package struct ConnectorFiles {
    /// One for each file, the main one first.
    package var connectors: [ConnectorConfiguration] = []
    /// From the main file; no other may say any of it.
    package var process = ProcessConfiguration()
    package var administration = AdministrationSettings()
    package var alerts = AlertThresholds()
    package var warnings: [Finding] = []
    /// Reads the main file and those of `connector.d` beside it.
    ///
    /// - Parameter changed: what some of them are to contain.
    package static func load(
        _ main: String,
        with changed: [(file: String, bytes: [UInt8])] = []
    ) throws(ConfigurationError) -> ConnectorFiles {
        var files = ConnectorFiles()
        for file in [main] + ConfigurationFolder.files(beside: main) {
            do throws(ConfigurationError) {
                let loaded = try ConnectorConfigurationReader.load(
                    file,
                    changed.first { $0.file == file }?.bytes
                )
                files.warnings += loaded.warnings
                files.add(loaded, file, main)
            } catch {
                files.warnings += error.findings
            }
        }
        guard !files.warnings.contains(where: { $0.severity == .error }) else {
            throw ConfigurationError(findings: files.warnings)
        }
        return files
    }

    /// What these files and no others would say, the main one first.
    static func load(exactly contents: [(file: String, bytes: [UInt8])]) throws(ConfigurationError) -> ConnectorFiles {
        var files = ConnectorFiles()
        for (file, bytes) in contents {
            do throws(ConfigurationError) {
                let loaded = try ConnectorConfigurationReader.load(file, bytes)
                files.warnings += loaded.warnings
                files.add(loaded, file, contents[0].file)
            } catch {
                files.warnings += error.findings
            }
        }
        guard !files.warnings.contains(where: { $0.severity == .error }) else {
            throw ConfigurationError(findings: files.warnings.filter { $0.severity == .error })
        }
        return files
    }

    private mutating func add(_ loaded: ConnectorConfigurationReader.Loaded, _ file: String, _ main: String) {
        var configuration = loaded.configuration
        if file == main {
            (process, administration, alerts) = (loaded.process, loaded.administration, loaded.alerts)
        } else if loaded.process.isGiven {
            refuse(file, key: "", "log, audit, admin and alerts are the whole process's; say them in \(main)")
        }
        guard !loaded.isToBeSetUp else { return }
        if let twin = connectors.first(where: { $0.identity == configuration.identity }) {
            let message = "is for the same subaccount and location ID as \(twin.file)"
            refuse(file, key: "subaccount", message)
        }
        configuration.accessLog = self.process.accessLog
        configuration.isTracing = !self.process.traceFile.isEmpty
        connectors.append(configuration)
    }

    private mutating func refuse(_ file: String, key: String, _ message: String) {
        warnings.append(Finding(severity: .error, file: file, line: 1, column: 1, key: key, message: message))
    }
}

/// The folder for further subaccounts.
enum ConfigurationFolder {
    static func path(beside file: String) -> String { path("connector.d", beside: file) }

    /// A name in the folder that a file lies in, spelt as the file is.
    static func path(_ name: String, beside file: String) -> String {
        let folder = file.split(separator: "/", omittingEmptySubsequences: false).dropLast().map(String.init)
        return (folder + [name]).joined(separator: "/")
    }

    /// The `*.conf` files in `connector.d` beside `file`, in alphabetical order.
    static func files(beside file: String) -> [String] {
        let path = path(beside: file)
        return Folder.names(path).filter { $0.hasSuffix(".conf") }.sorted().map { "\(path)/\($0)" }
    }
}
