package import ArgumentParser
internal import ConfigurationReading
internal import ConnectorProcess
internal import Glibc

/// `connectord doctor`: which step on the way to the service fails.
package struct DoctorCommand: AsyncParsableCommand {
    package init() {}

    package static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Find out which step on the way to the service fails, and what to ask for.",
        discussion: """
            Goes through configuration, clock, certificate, name, connection, proxy, TLS, application protocol and the \
            service's welcome, for each address of the service. Exit status: 0 if a tunnel can be opened, 1 if not, 64 \
            for a bad configuration.
            """
    )

    @OptionGroup var configuration: ConnectorFileOption

    package func run() async throws {
        let isHealthy = try await CommandSupport.attempt {
            try await ConnectorProgram.examine(try configuration.file(), warn: CommandSupport.report)
        }
        if !isHealthy { throw ExitCode.failure }
    }
}
