package import ArgumentParser
package import ConfigurationReading
internal import ConnectorProcess
internal import Glibc
internal import TextFormats

/// `connectord check-config`: says what is wrong with a file before anything depends on it.
package struct CheckConfigCommand: ParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: "Validate configuration files without using them.",
        discussion: """
            Prints one line for each finding: file:line:column: error or warning: key: message. Exit status: 0 if \
            every file can be used, 64 if not.
            """
    )

    @Argument(help: "Files in the form of connector.conf.")
    var files: [String]

    package func run() throws {
        try FileCheck.run(files) { file throws(ConfigurationError) in try ConnectorProgram.warnings(file) }
    }
}

/// What `check-config` does with each kind of file.
package enum FileCheck {
    /// - Parameter read: the findings of a file that can be used.
    package static func run(
        _ files: [String],
        _ read: (String) throws(ConfigurationError) -> [Finding]
    ) throws(ExitCode) {
        var isUsable = true
        for file in files {
            let findings: [Finding]
            do throws(ConfigurationError) {
                findings = try read(file)
                print("\(file): usable" + (findings.isEmpty ? "" : ", \(Count.text(findings.count, "warning"))"))
            } catch {
                isUsable = false
                findings = error.findings
            }
            for finding in findings { print(finding) }
        }
        if !isUsable { throw ExitCode(EX_USAGE) }
    }
}
