internal import ArgumentParser
internal import Glibc

/// `connectord check-config`: says what is wrong with a file before anything depends on it.
struct CheckConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Validate configuration files without using them.",
        discussion: """
            Prints one line for each finding: file:line:column: error or warning: key: message. Exit status: 0 if \
            every file can be used, 64 if not.
            """
    )

    @Argument(help: "Files in the form of connector.conf; with --cloud, of cloud.conf.")
    var files: [String]

    @Flag(help: "The files are for `connectord cloud`.")
    var cloud = false

    func run() throws {
        var isUsable = true
        for file in files {
            let findings: [Finding]
            do throws(ConfigurationError) {
                findings =
                    cloud
                    ? try CloudConfigurationReader.load(file).warnings
                    : try ConnectorConfigurationReader.load(file).warnings
                let warnings = findings.count
                print("\(file): usable" + (warnings == 0 ? "" : ", \(warnings) warning\(warnings == 1 ? "" : "s")"))
            } catch {
                isUsable = false
                findings = error.findings
            }
            for finding in findings { print(finding) }
        }
        if !isUsable { throw ExitCode(EX_USAGE) }
    }
}
