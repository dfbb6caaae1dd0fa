internal import ArgumentParser
internal import CloudProcess
internal import ConfigurationReading
internal import ConnectorCommands
internal import ConnectorProcess

/// `connectord check-config`, for the files of both sides.
struct CheckBothConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-config",
        abstract: CheckConfigCommand.configuration.abstract,
        discussion: CheckConfigCommand.configuration.discussion
    )

    @Argument(help: "Files in the form of connector.conf; with --cloud, of cloud.conf.")
    var files: [String]

    @Flag(help: "The files are for `connectord cloud`.")
    var cloud = false

    func run() throws {
        let isCloud = cloud
        try FileCheck.run(files) { file throws(ConfigurationError) in
            isCloud ? try CloudProgram.warnings(file) : try ConnectorProgram.warnings(file)
        }
    }
}
